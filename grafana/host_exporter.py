"""The row Exporter: can the figures be trusted, and what do they cost."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from grafana.panels import BYTES, COUNT, SHARE, TIME, Column, figure, graph, listing
from grafana.queries import metric, plain, total

_THIRD = (8, 8)


def exporter_row() -> dashboard.Row:
    """Make the row, folded."""
    row = dashboard.Row("Exporter").collapsed(True)
    for panel in (*_identity(), *_scans(), *_watching(), *_cost(), *_web()):
        row = row.with_panel(panel)
    return row


def _rate(name: str, *by: str) -> str:
    return total(f"rate({metric(name)}[$__rate_interval])", *by)


def _identity() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "1 is a data root that could be read. 0: see DockerStorageRootUnreadable."
    yield figure("Root readable", text, COUNT, metric("up"), by, levels=((1, "green"),))
    text = "How much of the first scan after a start is done. Figures are complete at 100 %."
    done, trees = metric("initial_scan_trees_done"), metric("initial_scan_trees")
    yield figure("First scan", text, SHARE, f"{done} / ({trees} > 0) or {metric('up')}", by)
    text = "Directory entries that the running first scan has looked at; 0 when it is over."
    yield figure("First scan: entries", text, COUNT, f"{metric('initial_scan_entries')} or 0 * {metric('up')}", by)
    text = "Mount points below the root that were not entered: what lies on them is not counted."
    yield figure("Mounts not entered", text, COUNT, metric("skipped_mounts"), by)
    text = "Objects left out by the limit on series. Above 0: raise the limit or narrow the collectors."
    dropped = metric("series_dropped")
    yield figure("Series dropped", text, COUNT, total(dropped), by, levels=((1, "orange"),))
    text = "1 is polling: changes are noticed later. See DockerStorageWatchDegraded."
    mode = metric("watch_mode", 'mode="polling"')
    yield figure("Polling", text, COUNT, mode, by, levels=((1, "orange"),))
    names = {"instance": "Host", "version": "Version", "revision": "Revision", "python_version": "Python"}
    yield listing("Versions", "What runs where.", names, [Column("Up", COUNT, metric("build_info"))], size=(12, 6))
    names = {"instance": "Host", "root": "Data root", "layout": "Layout"}
    text = "The layouts found in each root. containerd is measured by directory only."
    yield listing("Data roots", text, names, [Column("Found", COUNT, metric("root_info"))], size=(12, 6))


def _scans() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}} {{collector}}"
    text = "How long the last scan of each collector took."
    yield graph("Scan duration", text, "s", [(metric("scan_duration_seconds"), by)], size=_THIRD)
    text = "Since the last scan without error. Old for one collector only: nothing changed there, or it has errors."
    age = f"time() - {metric('scan_last_success_timestamp_seconds')}"
    yield graph("Age of the last good scan", text, TIME, [(age, by)], size=_THIRD)
    text = "Directory entries looked at: a small change costs little."
    yield graph("Entries of the last scan", text, COUNT, [(metric("scan_entries"), by)], size=_THIRD)
    text = "Scans by what made them run. Mostly reconcile: events are lost."
    yield graph("Scans", text, "ops", [(_rate("scans_total", "trigger"), "{{instance}} {{trigger}}")], size=_THIRD)
    text = "What could not be read. Anything but vanished hides objects: the log names them."
    errors = _rate("scan_errors_total", "reason")
    yield graph("Errors", text, "ops", [(errors, "{{instance}} {{reason}}")], size=_THIRD)
    text = "1 is a collector whose last scan had no error but for files that vanished."
    yield graph("Success", text, COUNT, [(metric("scan_success"), by)], size=_THIRD)


def _watching() -> Iterator[Builder[board.Panel]]:
    text = "Kernel watches held and allowed. Near the limit: raise fs.inotify.max_user_watches."
    held = [(metric("watches"), "{{instance}} held"), (metric("watches_limit"), "{{instance}} allowed")]
    yield graph("Watches", text, COUNT, held, size=_THIRD)
    text = "Events by the part of the root that they tell of."
    events = _rate("watch_events_total", "area")
    yield graph("Events", text, "ops", [(events, "{{instance}} {{area}}")], size=_THIRD)
    text = "Lost events: overflows of the kernel's queue, changes found without an event, watches made anew."
    lost = [
        (f"increase({metric('watch_overflows_total')}[1h])", "{{instance}} overflows"),
        (f"increase({metric('watch_missed_changes_total')}[1h])", "{{instance}} missed changes"),
        (f"sum by (instance) (increase({metric('watch_restarts_total')}[1h]))", "{{instance}} restarts"),
    ]
    yield graph("Lost events in an hour", text, COUNT, lost, size=_THIRD)
    text = "Since the last event, and since the audit that is longest ago. Audits over an hour: raise the duty cycle."
    ages = [(f"time() - {metric('audit_oldest_timestamp_seconds')}", "{{instance}} audit of {{area}}")]
    ages += [(f"time() - {metric('watch_last_event_timestamp_seconds')}", "{{instance}} event")]
    yield graph("Age of events and audits", text, TIME, ages, size=_THIRD)


def _cost() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "Cores in use by all the exporter's processes. Audits keep within --scan.duty-cycle."
    yield graph(
        "CPU", text, SHARE, [(f"rate({plain('process_cpu_seconds_total')}[$__rate_interval])", by)], size=_THIRD
    )
    text = "Resident memory of all the exporter's processes; pages they share count in each."
    yield graph("Memory", text, BYTES, [(plain("process_resident_memory_bytes"), by)], size=_THIRD)
    text = "File descriptors of the serving process, and how many it may open."
    files = [(plain("process_open_fds"), f"{by} open"), (plain("process_max_fds"), f"{by} allowed")]
    yield graph("File descriptors", text, COUNT, files, size=_THIRD)
    text = "How long Prometheus waits for a scrape."
    yield graph("Scrape duration", text, "s", [(plain("scrape_duration_seconds"), by)], size=_THIRD)
    text = "Series of each host: what it costs Prometheus."
    yield graph("Series", text, COUNT, [(plain("scrape_samples_scraped"), by)], size=_THIRD)


def _web() -> Iterator[Builder[board.Panel]]:
    by = "{{instance}}"
    text = "Open connections to the exporter. More than your Prometheus servers and people explain: see who asks."
    yield graph("Connections", text, COUNT, [(metric("web_connections"), by)], size=_THIRD)
    text = "In an hour: connections that the exporter ended, by reason, and requests without valid credentials."
    refused = [
        (f"increase({metric('web_connections_cut_total')}[1h])", f"{by} cut: {{{{reason}}}}"),
        (f"increase({metric('web_requests_refused_total')}[1h])", f"{by} refused"),
    ]
    yield graph("Turned away", text, COUNT, refused, size=_THIRD)
    text = "Reloads of the web configuration in an hour; stale is 1 while a faulty one leaves the older in force."
    reloads = [
        (f"increase({metric('web_config_reloads_total')}[1h])", f"{by} {{{{result}}}}"),
        (f"{metric('web_config_stale')} or 0 * {metric('up')}", f"{by} stale"),
    ]
    yield graph("Web configuration", text, COUNT, reloads, size=_THIRD)
