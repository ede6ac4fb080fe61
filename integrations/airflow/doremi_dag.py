"""Learns a mixture and checks its manifest, on Airflow 3.

An operator runs one `doremi` command; the line of JSON on its stdout becomes the task's return value, so that the next
task names what it wants of it: `run.output["manifest"]`.

    DOREMI        the program, default `doremi` (of the PATH)
    DOREMI_RUNS   folder of the outputs, kept from one try to the next, default ~/doremi-runs
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import DAG, BaseOperator, Param

# Stopped with the state saved, or killed: the same command goes on where it was. All others come out the same again.
RESUMABLE = {75, 130, 143, -2, -9, -15}

# SIGTERM saves the state within 20 s.
STOP_SECONDS = 25


class DoremiOperator(BaseOperator):
    """Runs `doremi` with the given arguments; stderr goes to the task's log."""

    template_fields = ("arguments",)

    def __init__(self, *, arguments: list[Any], **kwargs: Any) -> None:
        # A key of the line each: `.output["manifest"]`.
        super().__init__(multiple_outputs=True, **kwargs)
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        command = [os.environ.get("DOREMI", "doremi"), *map(str, self.arguments), "--log-format", "json"]
        self.log.info("running %s", command)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line, _ = self.process.communicate()
        status = self.process.returncode
        if status == 0:
            return json.loads(line)
        message = f"doremi ended with {status}: {line.strip()}"
        raise (AirflowException if status in RESUMABLE else AirflowFailException)(message)

    def on_kill(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()


with DAG(
    dag_id="doremi",
    schedule=None,
    catchup=False,
    params={
        "pipeline": Param("pipelines/quickstart.yaml", type="string", description="absolute path of the pipeline file"),
        "output": Param(
            str(Path(os.environ.get("DOREMI_RUNS", Path.home() / "doremi-runs")) / "quickstart"),
            type="string",
            description="folder of the results, on a disk that all workers see",
        ),
    },
) as dag:
    run = DoremiOperator(
        task_id="run",
        arguments=["run", "{{ params.pipeline }}", "--output", "{{ params.output }}"],
        retries=10,
        retry_delay=timedelta(seconds=10),
        retry_exponential_backoff=True,
    )
    verify = DoremiOperator(task_id="verify", arguments=["verify", run.output["manifest"]])
    run >> verify
