"""The inputs that each figure needs. A figure of which one was not read whole is not known."""

from collections.abc import Mapping
from enum import StrEnum

from exporter.core.knowledge import REFER_TO_LAYERS, Input, Knowledge
from exporter.figures.prunes import Category
from exporter.inventory.drivers import driver_named


class Figure(StrEnum):
    """One kind of figure that is worked out from several objects. What one object says of itself is not here."""

    CONTAINER_STATES = "container_states"
    IMAGE_USERS = "image_users"
    IMAGE_NAMES = "image_names"
    IMAGE_LISTED = "image_listed"
    IMAGE_STATES = "image_states"
    IMAGE_SHARES = "image_shares"
    LAYERS_OF_IMAGES = "layers_of_images"
    LAYERS_OF_OTHERS = "layers_of_others"
    MISSING_LAYERS = "missing_layers"
    VOLUME_USERS = "volume_users"
    VOLUME_STATES = "volume_states"
    BUILD_CACHE = "build_cache_records"
    BUILD_SHARES = "build_cache_shares"
    BLOBS = "blobs"
    BUILD_HISTORY = "build_history"
    UNATTRIBUTED = "unattributed"


_USERS = (Input.CONTAINERS, Input.CONTAINER_CONFIGS)
_LISTED = (Input.NAMES, Input.IMAGE_CONFIGS, Input.IMAGE_STORE)
_ALL_OF_LAYERS = (*REFER_TO_LAYERS, Input.NAMES)

NEEDS: Mapping[Figure | Category, tuple[Input, ...]] = {
    Figure.CONTAINER_STATES: _USERS,
    Figure.IMAGE_USERS: _USERS,
    Figure.IMAGE_NAMES: (Input.NAMES,),
    Figure.IMAGE_LISTED: _LISTED,
    Figure.IMAGE_STATES: (*_USERS, *_LISTED),
    # What an image shares follows from the descriptions: a layer that was not read is one of images without a size.
    Figure.IMAGE_SHARES: _LISTED,
    Figure.LAYERS_OF_IMAGES: (Input.IMAGE_CONFIGS, Input.LAYER_STORES, Input.IMAGE_STORE),
    # A layer counts for an image first, then for a container, then for the build cache.
    Figure.LAYERS_OF_OTHERS: REFER_TO_LAYERS,
    Figure.MISSING_LAYERS: (*_USERS, Input.NAMES, Input.IMAGE_CONFIGS, Input.LAYER_STORES),
    Figure.VOLUME_USERS: _USERS,
    Figure.VOLUME_STATES: (*_USERS, Input.VOLUMES),
    Figure.BUILD_CACHE: (Input.BUILD_CACHE,),
    # Docker does not count records whose layer is one of an image.
    Figure.BUILD_SHARES: (Input.BUILD_CACHE, Input.IMAGE_CONFIGS, Input.LAYER_STORES, Input.IMAGE_STORE),
    Figure.BLOBS: (Input.IMAGE_STORE,),
    Figure.BUILD_HISTORY: (Input.IMAGE_STORE, Input.BUILD_CACHE),
    Figure.UNATTRIBUTED: (*REFER_TO_LAYERS, Input.VOLUMES),
    # Each category is freed after the ones before it, so it needs their inputs, too, as far as it shares with them.
    # With a container go the layers that nothing else needs.
    Category.CONTAINERS_STOPPED: REFER_TO_LAYERS,
    Category.IMAGES_DANGLING: _ALL_OF_LAYERS,
    Category.IMAGES_UNUSED: _ALL_OF_LAYERS,
    Category.VOLUMES_UNUSED: (*_USERS, Input.VOLUMES),
    Category.BUILD_CACHE: _ALL_OF_LAYERS,
    Category.BUILD_HISTORY: _ALL_OF_LAYERS,
    Category.LAYERS_ORPHANED: REFER_TO_LAYERS,
}


#: Figures that are certain where something of these inputs is damaged: an engine does not load a layer whose entry is
#: damaged, so that counts as missing.
_CERTAIN_OF_DAMAGED: Mapping[Figure | Category, tuple[Input, ...]] = {
    Figure.MISSING_LAYERS: (Input.LAYER_STORES,),
}


def why_not(knowledge: Knowledge, figure: Figure | Category, driver: str = "") -> str:
    """One line that says which input of a figure was not read whole; "" where all were."""
    certain = _CERTAIN_OF_DAMAGED.get(figure, ())
    if certain:
        knowledge = Knowledge(tuple(gap for gap in knowledge.gaps if not (gap.damaged and gap.input in certain)))
    return knowledge.why(inputs_of(figure, driver), driver)


def inputs_of(figure: Figure | Category, driver: str = "") -> tuple[Input, ...]:
    """The inputs that a figure needs."""
    if driver and figure in (Figure.LAYERS_OF_OTHERS, Category.LAYERS_ORPHANED):
        return driver_named(driver).referring
    return NEEDS[figure]
