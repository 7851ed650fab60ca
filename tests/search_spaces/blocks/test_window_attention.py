import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.blocks.window_attention import (
    WindowAttention,
    relative_position_index,
)


def naive_window_attention(module: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """Window by window, head by head, pixel pair by pixel pair."""
    p, heads, dim = module.window, module.heads, module.head_dim
    inner = heads * dim
    q_all = torch.einsum("oc,bchw->bohw", module.to_q.weight[:, :, 0, 0], x)
    kv = torch.einsum("oc,bchw->bohw", module.to_kv.weight[:, :, 0, 0], x)
    k_all, v_all = kv[:, :inner], kv[:, inner:]
    out = torch.zeros_like(q_all)
    batch, _, height, width = x.shape
    for b in range(batch):
        for top in range(0, height, p):
            for left in range(0, width, p):
                cells = [(i, j) for i in range(p) for j in range(p)]
                for h in range(heads):
                    part = slice(h * dim, (h + 1) * dim)
                    for qi, qj in cells:
                        query = q_all[b, part, top + qi, left + qj]
                        logits = []
                        for ki, kj in cells:
                            key = k_all[b, part, top + ki, left + kj]
                            bias = module.position_bias[
                                ki - qi + p - 1, kj - qj + p - 1
                            ]
                            logits.append(query @ key * dim**-0.5 + bias)
                        weights = torch.stack(logits).softmax(0)
                        values = torch.stack(
                            [v_all[b, part, top + ki, left + kj] for ki, kj in cells]
                        )
                        out[b, part, top + qi, left + qj] = weights @ values
    weight = module.to_out.weight[:, :, 0, 0]
    return torch.einsum("oc,bchw->bohw", weight, out) + module.to_out.bias.view(
        -1, 1, 1
    )


@pytest.mark.parametrize(
    ("window", "heads", "shape"),
    [(2, 1, (2, 4, 4, 6)), (3, 2, (1, 5, 3, 3)), (1, 2, (1, 3, 2, 2))],
)
def test_window_attention_equals_the_naive_twin(window, heads, shape):
    torch.manual_seed(0)
    module = WindowAttention(
        shape[1], 7, heads=heads, head_dim=3, window=window
    ).double()
    with torch.no_grad():
        module.position_bias.normal_()
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(module(x), naive_window_attention(module, x))


def test_channels_last_gives_the_same():
    torch.manual_seed(0)
    module = WindowAttention(4, 4, heads=2, head_dim=3, window=2)
    x = torch.randn(2, 4, 4, 4)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), module(x))


@given(st.integers(1, 5))
def test_relative_position_index_is_the_offset(window):
    index = relative_position_index(window)
    side = 2 * window - 1
    for i in range(window**2):
        for j in range(window**2):
            row = j // window - i // window + window - 1
            column = j % window - i % window + window - 1
            assert index[i, j] == row * side + column
    assert index.unique().numel() == side**2


def test_a_map_that_no_window_tiles_is_one_clear_line():
    layer = WindowAttention(4, 4, heads=1, head_dim=4, window=4)
    with pytest.raises(ValueError, match="windows of 4 px.*got a 8x6 map.*image_size"):
        layer(torch.randn(1, 4, 8, 6))
