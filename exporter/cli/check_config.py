"""`check-config`: checks a web configuration or a settings file before the exporter uses it."""

import click

from exporter.cli.config_file import flag_values, flags, is_settings
from exporter.config.settings import SettingsError


@click.command("check-config")
@click.argument("file", metavar="FILE")
@click.pass_context
def check_config(context: click.Context, file: str) -> None:
    """Check FILE, a web configuration (--web.config.file) or a settings file (--config.file).

    Which of the two it is shows in its keys. Certificates and keys that a web configuration names are read too.
    Exits with 1 and says what is wrong, with the line.
    """
    group = context.find_root().command
    assert isinstance(group, click.Group), "the commands belong to a group"
    try:
        click.echo(f"{file}: {_check(file, group)}")
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _check(file: str, group: click.Group) -> str:
    from exporter.config.yaml_reader import read  # noqa: PLC0415
    from exporter.web.access.config import load  # noqa: PLC0415 - other commands need it only with such a file
    from exporter.web.access.tls import make_context  # noqa: PLC0415

    top = read(file)
    if is_settings(top, flags(group)):
        return f"a good settings file with {len(flag_values(top, flags(group)))} settings"
    config = load(file)
    if config.tls:
        make_context(config.tls, file)
    tls = f"TLS {config.tls.min_version[3:]} to {config.tls.max_version[3:]}" if config.tls else "no TLS"
    clients = config.tls.client_auth if config.tls else "NoClientCert"
    users = f"{len(config.users)} users" if config.users else "no basic authentication"
    limit = "no rate limit"
    if config.interval:
        limit = f"one request in {config.interval:g} s, bursts of {config.burst}"
        if config.burst == 0:
            limit += ", which lets no request through"
    return f"a good web configuration: {tls}, {clients}, {users}, {limit}"
