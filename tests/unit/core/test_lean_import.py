"""Parts of a library without the whole of it."""

import sys

import pytest

from exporter.core.lean_import import hidden, parts_of


def test_a_library_that_is_not_installed_is_named() -> None:
    """The command ends with one line that has the message of this error."""
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there'") as found, parts_of("not_there"):
        pass
    assert found.value.name == "not_there"


def test_the_package_itself_is_still_to_be_imported() -> None:
    known = sys.modules.pop("wsgiref", None)
    with hidden("no_such_package"), parts_of("wsgiref"):
        assert sys.modules["no_such_package"] is None
        from wsgiref import headers  # noqa: PLC0415
    assert headers.Headers
    assert not {"wsgiref", "no_such_package"} & sys.modules.keys()
    sys.modules.update({} if known is None else {"wsgiref": known})
