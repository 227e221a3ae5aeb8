from hypothesis import given
from hypothesis import strategies as st

from exporter.web.protocol.pieces import PIECE_BYTES, in_pieces

_SIZES = st.integers(0, 3 * PIECE_BYTES) | st.sampled_from((0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1))


@given(st.lists(_SIZES, max_size=8))
def test_pieces_are_the_parts_and_all_but_the_last_are_full(sizes: list[int]) -> None:
    parts = [bytes([number]) * size for number, size in enumerate(sizes)]
    pieces = list(in_pieces(parts))
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) == PIECE_BYTES for piece in pieces[:-1])
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
