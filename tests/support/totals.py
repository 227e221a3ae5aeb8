"""A total as it comes to the process that asked for it."""

from exporter.measure.total import Total


def sent(total: Total, *, alone: bool = False) -> Total:
    """What is made of a total on the other end."""
    blocks = [block for some in total.take_links(alone=alone) for block in some]
    return Total.of(total.sums(), blocks)
