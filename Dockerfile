# Builds with any OCI builder:  docker build -t docker-storage-exporter --build-arg REVISION=$(git rev-parse --short=12 HEAD) .
#
# Run it on the host whose disk is to be watched:
#
#   docker run -d --name docker-storage-exporter -p 127.0.0.1:9588:9588 --read-only \
#     --cap-drop ALL --cap-add DAC_READ_SEARCH \
#     --mount type=bind,src=/var/lib/docker,dst=/var/lib/docker,readonly,bind-propagation=rslave \
#     docker-storage-exporter
#
# Where a containerd of the host keeps the images (Docker 29), mount its root in the same way: /var/lib/containerd.
#
# rslave matters. Docker mounts every container's root filesystem below the data root. A private copy of those mounts
# in this container would keep each of them busy for as long as it runs: "device or resource busy" at docker rm. With
# slave propagation an unmount on the host is an unmount here too. (bind-propagation needs the host's mount to be
# shared, as systemd makes it.) Where that is not possible, bind-recursive=disabled leaves the mounts out.
#
# The one capability lets a user who is not root read what belongs to root, and nothing else. It is a file capability
# of the interpreter, so do not set no-new-privileges, which disables it.

# Both stages are of one image, by its digest: what is built today is built next year. For a newer one, with its fixes:
#   docker buildx imagetools inspect python:3.13-slim-bookworm
FROM python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8 AS build
WORKDIR /src
COPY requirements-dev.lock requirements.lock ./
RUN python -m venv /opt/exporter \
    && /opt/exporter/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY packaging packaging
COPY docs/runbooks docs/runbooks
COPY exporter exporter
# The context has no git directory: the commit that build_info tells comes from outside.
ARG REVISION=
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation -w /dist . \
    && /opt/exporter/bin/pip install --no-cache-dir --no-deps /dist/*.whl \
    && /opt/exporter/bin/pip uninstall -y pip

FROM python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8
ARG REVISION=
LABEL org.opencontainers.image.title="docker-storage-exporter" \
    org.opencontainers.image.description="Prometheus exporter of Docker's disk use" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="0.2.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="python:3.13-slim-bookworm" \
    org.opencontainers.image.base.digest="sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8"
COPY --from=build /opt/exporter /opt/exporter
# The venv's python is a link to the image's: it gets a copy of its own, so that no other program has the capability.
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin \
    && rm /opt/exporter/bin/python && cp "$(readlink -f /usr/local/bin/python3)" /opt/exporter/bin/python \
    && setcap cap_dac_read_search=+ep /opt/exporter/bin/python \
    && apt-get purge -y --auto-remove libcap2-bin && rm -rf /var/lib/apt/lists/*
# A binary with capabilities ignores the loader's environment: its library is found by the system's cache.
RUN ldconfig
USER 65532:65532
EXPOSE 9588
HEALTHCHECK --interval=30s --timeout=3s CMD ["/opt/exporter/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9588/-/healthy', timeout=2)"]
ENTRYPOINT ["/opt/exporter/bin/python", "-P", "-m", "exporter"]
CMD ["run"]
