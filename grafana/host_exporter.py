"""The row Exporter: whether the figures are right and fresh, and what they cost."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from grafana.panels import BYTES, COUNT, SHARE, TIME, Column, figure, graph, listing
from grafana.queries import metric, plain, total
from grafana.words import GOOD, LATER, NOW, yes_or_no

_THIRD = (8, 8)


def exporter_panels() -> Iterator[Builder[board.Panel]]:
    """Make the panels of the row."""
    yield from (*_identity(), *_scans(), *_watching(), *_cost(), *_web())


def _rate(name: str, *by: str) -> str:
    return total(f"rate({metric(name)}[$__rate_interval])", *by)


def _identity() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "Progress of the first scan after a start. The figures are complete at 100 %."
    done, trees = metric("initial_scan_trees_done"), metric("initial_scan_trees")
    yield figure("First scan", text, SHARE, f"{done} / ({trees} > 0) or {metric('up')}", by)
    text = "Directory entries that the first scan has read so far; 0 when it is done."
    yield figure("First scan: entries", text, COUNT, f"{metric('initial_scan_entries')} or 0 * {metric('up')}", by)
    text = "Mount points below the root that were not entered: their content does not count."
    yield figure("Mounts not entered", text, COUNT, metric("skipped_mounts"), by)
    text = "Objects left out by the limit on series, whole or in part. See DockerStorageSeriesDropped."
    dropped = metric("series_dropped")
    yield figure("Series dropped", text, COUNT, total(dropped), by, levels=((1, LATER),))
    text = "Yes: the exporter polls, and changes are served later. See DockerStorageWatchDegraded."
    mode = metric("watch_mode", 'mode="polling"')
    yield figure("Polling", text, COUNT, mode, by, levels=((1, LATER),), mappings=yes_or_no(yes=LATER))
    text = "Yes: a scanning process keeps the figures up to date. No: see DockerStorageScannerDown."
    levels = ((None, NOW), (1, GOOD))
    words = yes_or_no(no=NOW)
    yield figure("Scanner", text, COUNT, metric("scanner_up"), by, levels=levels, size=(4, 4), mappings=words)
    names = {"instance": "Host", "version": "Version", "revision": "Revision", "python_version": "Python"}
    answers = [Column("Answers", COUNT, metric("build_info"), words=yes_or_no())]
    yield listing("Versions", "Exporter versions.", names, answers, size=(12, 6))
    names = {"instance": "Host", "root": "Data root", "layout": "Layout"}
    found = [Column("Found", COUNT, metric("root_info"), words=yes_or_no())]
    text = "The layouts in each root. Of containerd only the directories are measured."
    yield listing("Data roots", text, names, found, size=(12, 6))
    text = "What the exporter's processes have given up, as the kernel says. landlock is its version, or none."
    names = {"instance": "Host", "process": "Process", "capabilities": "Capabilities"}
    names |= {"no_new_privs": "No new privileges", "landlock": "landlock"}
    column = [Column("In force", COUNT, metric("sandbox_info"), words=yes_or_no())]
    yield listing("Sandbox", text, names, column, size=(24, 6))
    text = "No: this part of the root was not read whole; /status has the paths. See DockerStorageNotKnown."
    known = [Column("Read whole", COUNT, metric("known"), words=yes_or_no(no=LATER))]
    yield listing("Read whole", text, {"instance": "Host", "input": "Part"}, known, size=(24, 6))


def _scans() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}} {{collector}}"
    text = "How long the last scan of each collector took."
    yield graph("Scan duration", text, "s", [(metric("scan_duration_seconds"), by)], size=_THIRD)
    text = "Time since the last scan without error. Long for one collector only: no changes there, or errors."
    age = f"time() - {metric('scan_last_success_timestamp_seconds')}"
    yield graph("Age of the last good scan", text, TIME, [(age, by)], size=_THIRD)
    text = "Directory entries that the last scan read: few after a small change."
    yield graph("Entries of the last scan", text, COUNT, [(metric("scan_entries"), by)], size=_THIRD)
    text = "Scans by trigger. If most are reconcile, events are missing."
    yield graph("Scans", text, "ops", [(_rate("scans_total", "trigger"), "{{instance}} {{trigger}}")], size=_THIRD)
    text = "What could not be read. Every reason except vanished means missing objects: the log names the files."
    errors = _rate("scan_errors_total", "reason")
    yield graph("Errors", text, "ops", [(errors, "{{instance}} {{reason}}")], size=_THIRD)
    text = "Whether the last scan of the collector had no error, except for files that vanished."
    yield graph("Success", text, COUNT, [(metric("scan_success"), by)], size=_THIRD, words=yes_or_no(no=LATER))


def _watching() -> Iterator[Builder[board.Panel]]:
    text = "Kernel watches in use and allowed. Near the limit: raise fs.inotify.max_user_watches."
    held = [(metric("watches"), "{{instance}} held"), (metric("watches_limit"), "{{instance}} allowed")]
    yield graph("Watches", text, COUNT, held, size=_THIRD)
    text = "Events by the part of the root that changed."
    events = _rate("watch_events_total", "area")
    yield graph("Events", text, "ops", [(events, "{{instance}} {{area}}")], size=_THIRD)
    text = "Overflows of the kernel's queue, changes that were found without an event, and restarts of the watches."
    lost = [
        (f"increase({metric('watch_overflows_total')}[1h])", "{{instance}} overflows"),
        (f"increase({metric('watch_missed_changes_total')}[1h])", "{{instance}} missed changes"),
        (total(f"increase({metric('watch_restarts_total')}[1h])"), "{{instance}} restarts"),
    ]
    yield graph("Lost events in an hour", text, COUNT, lost, size=_THIRD)
    text = "Time since the last event, and since the oldest audit. Audits over an hour: raise --scan.duty-cycle."
    ages = [(f"time() - {metric('audit_oldest_timestamp_seconds')}", "{{instance}} audit of {{area}}")]
    ages += [(f"time() - {metric('watch_last_event_timestamp_seconds')}", "{{instance}} event")]
    yield graph("Age of events and audits", text, TIME, ages, size=_THIRD)


def _cost() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "CPU cores in use by all processes of the exporter. Scans after the first stay within --scan.duty-cycle."
    yield graph(
        "CPU", text, SHARE, [(f"rate({plain('process_cpu_seconds_total')}[$__rate_interval])", by)], size=_THIRD
    )
    text = "Resident memory of all processes of the exporter; shared pages count in each."
    yield graph("Memory", text, BYTES, [(plain("process_resident_memory_bytes"), by)], size=_THIRD)
    text = "File descriptors of the serving process, and how many it may open."
    files = [(plain("process_open_fds"), f"{by} open"), (plain("process_max_fds"), f"{by} allowed")]
    yield graph("File descriptors", text, COUNT, files, size=_THIRD)
    text = "How long Prometheus waits for a scrape."
    yield graph("Scrape duration", text, "s", [(plain("scrape_duration_seconds"), by)], size=_THIRD)
    text = "Samples in each scrape."
    yield graph("Series", text, COUNT, [(plain("scrape_samples_scraped"), by)], size=_THIRD)


def _web() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "Open connections to the exporter. Too many for your Prometheus servers and users: find the clients."
    yield graph("Connections", text, COUNT, [(metric("web_connections"), by)], size=_THIRD)
    text = "In an hour: connections that the exporter closed, by reason, and requests without valid credentials."
    refused = [
        (f"increase({metric('web_connections_cut_total')}[1h])", f"{by} cut: {{{{reason}}}}"),
        (f"increase({metric('web_requests_refused_total')}[1h])", f"{by} refused"),
    ]
    yield graph("Turned away", text, COUNT, refused, size=_THIRD)
    text = "Reloads of the web configuration in an hour."
    reloads = [(f"increase({metric('web_config_reloads_total')}[1h])", f"{by} {{{{result}}}}")]
    yield graph("Web configuration", text, COUNT, reloads, size=_THIRD)
    text = "Whether an older web configuration is in force, because the file cannot be used as it is."
    stale = [(f"{metric('web_config_stale')} or 0 * {metric('up')}", by)]
    yield graph("Older web configuration in force", text, COUNT, stale, size=_THIRD, words=yes_or_no(yes=LATER))
