"""Reads event files with TensorBoard's own package: python event_files.py FOLDER

Prints one JSON line: {"runs": {FOLDER: {TAG: [[step, value, wall time], ...]}}}, with every point that TensorBoard keeps.
"""

import json
import pathlib
import sys

sys.path.pop(0)  # this folder

from tensorboard.backend.event_processing import event_accumulator  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    runs = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        events = event_accumulator.EventAccumulator(str(path), size_guidance={event_accumulator.SCALARS: 0})
        events.Reload()
        runs[path.name] = {
            tag: [[point.step, point.value, point.wall_time] for point in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }
    return {"runs": runs}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
