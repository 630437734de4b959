"""Running a network: chunks, padding, failing devices, cancelling."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from training.issues import Cancelled, InputError, Severity
from training.models import Model, build_model, run
from training.models import execute as execute_module
from training.models.axialnet import AxialNet
from training.preprocess import InputSpec, ModelInput

N_COMPUTED = 7  # ten slice groups, four of them air


class Watched(AxialNet):
    """An AxialNet that notes what it sees and fails on request."""

    seen: list[int]
    fail: Callable[[Tensor], None]

    def features(self, x: Tensor) -> Tensor:
        type(self).seen.append(len(x))
        type(self).fail(x)
        return super().features(x)


@pytest.fixture
def watched(small_model: Model) -> Iterator[type[Watched]]:
    small_model.network.__class__ = Watched
    Watched.seen = []
    Watched.fail = staticmethod(lambda x: None)
    yield Watched
    Watched.seen = []


def same(a: np.ndarray | None, b: np.ndarray | None) -> None:
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(np.abs(b).max()))


def test_output_is_what_the_network_gives_for_the_whole_ct(small_model: Model, small_input: ModelInput) -> None:
    output = run(small_model, small_input)
    x = torch.from_numpy(small_input.group(0, 10))
    with torch.inference_mode():
        z = small_model.network.features(x)
        same(output.z, z.numpy())
        same(output.scores, small_model.network(x).numpy())
        same(output.slice_scores, small_model.network.head.slice_scores(z).T.numpy())
    assert output.z.shape == small_model.z_shape
    assert {a.dtype for a in (output.z, output.scores, output.slice_scores)} == {np.dtype(np.float32)}
    assert (output.device, output.precision, output.notices) == ("cpu", "fp32", ())


def test_scores_are_those_of_the_closed_form(small_model: Model, small_input: ModelInput) -> None:
    output = run(small_model, small_input)
    weights, bias = small_model.closed_form()
    exact = np.einsum("mfij,hfij->m", weights.astype(np.float64), output.z.astype(np.float64)) / 10 + bias
    np.testing.assert_allclose(output.scores, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 10, 99])
def test_results_do_not_depend_on_the_chunk(small_model: Model, small_input: ModelInput, chunk: int) -> None:
    output, whole = run(small_model, small_input, chunk=chunk), run(small_model, small_input)
    same(output.z, whole.z)
    same(output.scores, whole.scores)


def test_air_is_computed_once(small_model: Model, small_input: ModelInput, watched: type[Watched]) -> None:
    output = run(small_model, small_input, chunk=2)
    assert sum(watched.seen) == N_COMPUTED
    for group in (4, 8, 9):
        np.testing.assert_array_equal(output.z[group], output.z[0])
    assert not np.array_equal(output.z[1], output.z[0])


def test_a_ct_of_air_alone_is_one_slice_group(small_model: Model, watched: type[Watched]) -> None:
    spec = small_model.input_spec
    hu = np.full(spec.shape, -1000, np.int16)
    from training.geometry import Geometry

    output = run(small_model, ModelInput(hu, Geometry.canonical(spec.shape, spec.spacing_mm), spec))
    assert watched.seen == [1]
    assert np.ptp(output.z, axis=0).max() == 0


def test_progress_comes_after_every_chunk(small_model: Model, small_input: ModelInput) -> None:
    calls: list[tuple[int, int]] = []
    run(small_model, small_input, chunk=3, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, N_COMPUTED), (6, N_COMPUTED), (N_COMPUTED, N_COMPUTED)]


def test_cancelling_stops_before_the_next_chunk_and_frees_memory(
    small_model: Model, small_input: ModelInput, watched: type[Watched]
) -> None:
    outputs: list[weakref.ref[Any]] = []
    plain = watched.fail

    def note(x: Tensor) -> None:
        outputs.append(weakref.ref(x))
        plain(x)

    watched.fail = staticmethod(note)
    with pytest.raises(Cancelled):
        run(small_model, small_input, chunk=2, cancelled=lambda: len(watched.seen) >= 2)
    assert watched.seen == [2, 2]
    gc.collect()
    assert all(ref() is None for ref in outputs)


def test_cancelling_at_once_runs_nothing(small_model: Model, small_input: ModelInput, watched: type[Watched]) -> None:
    with pytest.raises(Cancelled):
        run(small_model, small_input, cancelled=lambda: True)
    assert watched.seen == []


def test_default_chunks_of_a_full_size_ct_are_small_on_a_cpu(small_input: ModelInput) -> None:
    """One slice group takes some tenths of a second at most, so that cancelling is quick."""
    spec = InputSpec()
    full = ModelInput.__new__(ModelInput)
    object.__setattr__(full, "spec", spec)
    assert execute_module._make_plan(full, "cpu", "fp32", None).chunk == 1
    assert execute_module._make_plan(small_input, "cpu", "fp32", None).chunk == 10


def test_the_model_is_left_as_it_was(small_model: Model, small_input: ModelInput) -> None:
    small_model.network.train()
    before = {k: v.clone() for k, v in small_model.network.state_dict().items()}
    run(small_model, small_input)
    assert small_model.network.training
    assert all(torch.equal(v, before[k]) for k, v in small_model.network.state_dict().items())
    small_model.network(torch.from_numpy(small_input.group(0, 2))).sum().backward()  # not turned into inference tensors


def out_of_memory_above(limit: int, device: str) -> Callable[[Tensor], None]:
    def fail(x: Tensor) -> None:
        if x.device.type == device and len(x) > limit:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 20.00 GiB")

    return staticmethod(fail)


def test_chunks_are_halved_when_memory_runs_out(
    small_model: Model, small_input: ModelInput, watched: type[Watched]
) -> None:
    expected = run(small_model, small_input)
    watched.seen = []
    watched.fail = out_of_memory_above(2, "cpu")
    output = run(small_model, small_input, chunk=7)
    assert watched.seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert output.chunk == 1
    same(output.z, expected.z)
    assert [n.code for n in output.notices] == ["device-failed"] * 2
    assert "3 slice groups at a time" in output.notices[0].message


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_cpu_takes_over_when_a_gpu_is_too_small(
    small_model: Model,
    small_input: ModelInput,
    watched: type[Watched],
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
) -> None:
    """The meta device stands in for a GPU: it takes networks and arrays; only results cannot leave it."""
    expected = run(small_model, small_input)
    monkeypatch.setattr(execute_module, "find_device", lambda name: (torch.device("meta"), ()))

    def fail(x: Tensor) -> None:
        if x.device.type == "meta":
            raise torch.OutOfMemoryError("out of memory") if len(x) > limit else RuntimeError("unspecified failure\nat")

    watched.fail = staticmethod(fail)
    output = run(small_model, small_input, device="cuda", chunk=4)
    same(output.z, expected.z)
    same(output.scores, expected.scores)
    assert output.device == "cpu"
    last = output.notices[-1]
    assert last.severity is Severity.WARNING
    assert "continued on the CPU" in last.message
    assert ("memory ran out" if limit == 0 else "unspecified failure") in last.message
    assert "\n" not in last.message


def test_a_fault_of_the_network_is_not_hidden(
    small_model: Model, small_input: ModelInput, watched: type[Watched]
) -> None:
    def fail(x: Tensor) -> None:
        raise RuntimeError("shapes do not match")

    watched.fail = staticmethod(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(small_model, small_input)
    watched.fail = out_of_memory_above(0, "cpu")
    with pytest.raises(torch.OutOfMemoryError):
        run(small_model, small_input, chunk=2)


def test_auto_takes_a_device_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert execute_module.find_device("auto") == (torch.device("cuda"), ())
    assert execute_module.find_device("cuda:1") == (torch.device("cuda:1"), ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert execute_module.find_device("auto")[0] == torch.device("mps")
    assert execute_module.find_device("cpu") == (torch.device("cpu"), ())


def test_a_missing_gpu_is_said_and_replaced(
    small_model: Model, small_input: ModelInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = run(small_model, small_input, device="cuda")
    assert output.device == "cpu"
    assert [n.code for n in output.notices] == ["device-missing"]


def test_a_broken_driver_is_said_and_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def broken() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old\n(found version 1)", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    device, notices = execute_module.find_device("auto")
    assert device == torch.device("cpu")
    assert "too old" in notices[0].message
    assert execute_module.find_device("cpu")[1] == ()


def test_fp64_is_fp32_with_more_digits(small_model: Model, small_input: ModelInput) -> None:
    exact, full = run(small_model, small_input, precision="fp64"), run(small_model, small_input)
    assert exact.z.dtype == exact.scores.dtype == np.float64
    same(full.z, exact.z)
    same(full.scores, exact.scores)
    weights, bias = small_model.closed_form()
    expected = np.einsum("mfij,hfij->m", weights.astype(np.float64), exact.z) / 10 + bias
    np.testing.assert_allclose(exact.scores, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_fp64_does_not_go_to_a_gpu_without_it(small_input: ModelInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_module, "find_device", lambda name: (torch.device("mps"), ()))
    plan = execute_module._make_plan(small_input, "auto", "fp64", None)
    assert plan.device == torch.device("cpu")
    assert "float64" in plan.notices[0].message
    assert execute_module._make_plan(small_input, "auto", "fp32", None).device == torch.device("mps")


def test_fp32_means_fp32_on_cuda_too() -> None:
    before = torch.backends.cudnn.allow_tf32
    with execute_module._full_fp32(torch.device("cuda")):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_bf16_is_near_fp32_and_gives_float32(small_model: Model, small_input: ModelInput) -> None:
    low, full = run(small_model, small_input, precision="bf16"), run(small_model, small_input)
    assert low.precision == "bf16"
    assert low.z.dtype == np.float32
    assert 0 < np.abs(low.z - full.z).max() < 0.05 * np.abs(full.z).max()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"device": "tpu"}, "device-unknown"),
        ({"precision": "fp8"}, "precision-unknown"),
        ({"chunk": 0}, "chunk-size"),
    ],
)
def test_unknown_options_are_refused(
    small_model: Model, small_input: ModelInput, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(small_model, small_input, **options)
    assert caught.value.issues[0].code == code


def test_an_input_for_another_model_is_refused(small_input: ModelInput) -> None:
    other = build_model("axialnet-local", ("a",), InputSpec((2.4,) * 3, (30, 96, 88)), width=4)
    with pytest.raises(InputError, match="another model"):
        run(other, small_input)


def test_output_that_is_not_finite_is_refused(small_model: Model, small_input: ModelInput) -> None:
    with torch.no_grad():
        small_model.network.custom[0].bias.fill_(float("inf"))
    with pytest.raises(InputError, match="not finite"):
        run(small_model, small_input)
