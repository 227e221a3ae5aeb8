"""Recording rules: dashboards of many hosts and long ranges read these instead of thousands of series."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.thresholds import Settings

USED = "instance:docker_storage_directory_allocated_bytes:sum"
GROWTH = "directory:docker_storage_directory_allocated_bytes:growth1h"
SHARED = "image:docker_storage_image_shared_size_bytes:diff"
AVAILABLE = "mountpoint:docker_storage_filesystem_avail:ratio"
SECONDS_TO_FULL = "mountpoint:docker_storage_filesystem_full_seconds:deriv6h"


def recording_rules(settings: Settings) -> list[dict[str, object]]:
    """Make the recording rules of one job."""
    job = f'{{job="{settings.job}"}}'
    avail = c.FILESYSTEM_AVAIL.name
    hour, day_part = settings.window(3600), settings.window(6 * 3600)
    expressions = {
        USED: f"sum by (job, instance) ({c.DIRECTORY_ALLOCATED.name}{job})",
        GROWTH: f"3600 * deriv({c.DIRECTORY_ALLOCATED.name}{job}[{hour}])",
        SHARED: f"{c.IMAGE_VIRTUAL_SIZE.name}{job} - {c.IMAGE_UNIQUE_SIZE.name}{job}",
        AVAILABLE: f"{avail}{job} / ({c.FILESYSTEM_SIZE.name}{job} > 0)",
        SECONDS_TO_FULL: f"{avail}{job} / -(deriv({avail}{job}[{day_part}]) < 0)",
    }
    return [{"record": name, "expr": expression} for name, expression in expressions.items()]
