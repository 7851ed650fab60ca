"""Reads what trackers wrote, without the code that wrote it.

TensorBoard's event files are TFRecords: length, CRC, data, CRC. W&B's offline files are
LevelDB logs: blocks of 32 KiB of records that begin with CRC, length and type.
"""

import json
import struct
import time
from pathlib import Path

_BLOCK = 32768


def scalars(directory: Path) -> dict[str, dict[int, float]]:
    """Curves of one TensorBoard run: values by step, by tag."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for path in sorted(directory.glob("events.out.tfevents.*")):
        for data in _tf_records(path.read_bytes()):
            event = Event.FromString(data)
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    curve = found.setdefault(value.tag, {})
                    curve[event.step] = value.simple_value
    return found


def hparams(directory: Path) -> dict[str, object]:
    """Hyper-parameters of one TensorBoard run."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    found: dict[str, object] = {}
    for path in directory.rglob("events.out.tfevents.*"):
        for data in _tf_records(path.read_bytes()):
            for value in Event.FromString(data).summary.value:
                plugin = value.metadata.plugin_data
                if plugin.plugin_name == "hparams":
                    content = HParamsPluginData.FromString(plugin.content)
                    for name, one in content.session_start_info.hparams.items():
                        found[name] = one.string_value or one.number_value
    return found


def _tf_records(data: bytes) -> list[bytes]:
    records, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        records.append(data[at + 12 : at + 12 + length])
        at += 12 + length + 4
    return records


def offline_run(directory: Path) -> dict[str, object]:
    """One offline run of W&B: name, group, config, curves, exit code."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = directory.glob("*.wandb")
    found: dict[str, object] = {"config": {}, "curves": {}}
    for data in _leveldb_records(path.read_bytes()):
        record = Record.FromString(data)
        match record.WhichOneof("record_type"):
            case "run":
                run = record.run
                found |= {
                    "name": run.display_name,
                    "group": run.run_group,
                    "project": run.project,
                }
                _add(found["config"], run.config.update)
            case "config":
                _add(found["config"], record.config.update)
            case "history":
                row: dict[str, object] = {}
                _add(row, record.history.item)
                step = record.history.step.num
                for name, value in row.items():
                    found["curves"].setdefault(name, {})[step] = value
            case "exit":
                found["exit_code"] = record.exit.exit_code
    return found


def _add(known: dict, items: object) -> None:
    for item in items:
        name = item.key or "/".join(item.nested_key)
        known[name] = json.loads(item.value_json)


def _leveldb_records(data: bytes) -> list[bytes]:
    records, at, part = [], 7, b""  # W&B's own header is 7 bytes
    while at + 7 <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        if kind in (1, 4):  # whole, or the last part
            records.append(part)
            part = b""
        at += 7 + length
    return records


def finished_run(directory, patience_s=60):
    """An offline run of W&B, whose own process may still be writing it."""
    end = time.monotonic() + patience_s
    while "exit_code" not in (run := offline_run(directory)) and time.monotonic() < end:
        time.sleep(1)
    return run
