"""Learns a mixture and checks its manifest, on Kubeflow Pipelines 2.

    python pipeline.py doremi.yaml     compiles the pipeline, for `kfp run create` or an upload

Kubeflow tries a failed task again whatever its exit status was, and a task that others wait for has to succeed to pass
anything on. So the component `run` fails only where another try helps; where none would, it succeeds with the error in
its result, and `verify`, which is tried once, says it and fails.
"""

import sys

from kfp import compiler, dsl, kubernetes

IMAGE = "doremi:0.1.0"

# The image's own Node reads the line of JSON; $0 to $n are the arguments of `sh -c SCRIPT`.
RUN = """\
mkdir -p "$(dirname "$2")" "$(dirname "$3")"
status=0
doremi run "$0" --output "$1" --log-format json >"$2" || status=$?
# 75, 130, 143: stopped with the state saved. A pod that was killed ends before this line and is tried again too.
case $status in 75 | 130 | 143) exit "$status" ;; esac
node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).manifest ?? ""' <"$2" | tr -d '\\n' >"$3"
"""

VERIFY = """\
if [ -z "$0" ]; then
  printf 'doremi run wrote no manifest: %s\\n' "$1" >&2
  exit 65
fi
mkdir -p "$(dirname "$2")"
exec doremi verify "$0" --log-format json >"$2"
"""


@dsl.container_component
def run(pipeline: str, output: str, result: dsl.OutputPath(str), manifest: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", RUN], args=[pipeline, output, result, manifest])


@dsl.container_component
def verify(manifest: str, result: str, verdict: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", VERIFY], args=[manifest, result, verdict])


@dsl.pipeline(name="doremi", description="Learn a data mixture and check the manifest of the resampled set")
def mixture(
    pipeline: str = "/opt/doremi/pipelines/quickstart.yaml",
    output: str = "/data/runs/quickstart",
    claim: str = "doremi-data",
) -> str:
    learn = run(pipeline=pipeline, output=output)
    learn.set_retry(num_retries=10, backoff_duration="10s", backoff_factor=2, backoff_max_duration="600s")
    check = verify(manifest=learn.outputs["manifest"], result=learn.outputs["result"])
    for task in (learn, check):
        # The volume keeps the output folder from one try to the next: a new pod goes on where the last one was.
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path="/data")
        task.set_cpu_request("2").set_memory_request("4Gi").set_memory_limit("8Gi")
        # Unchanged inputs are doremi's to see: it looks at the files, Kubeflow only at their names.
        task.set_caching_options(False)
    return learn.outputs["manifest"]


if __name__ == "__main__":
    compiler.Compiler().compile(mixture, sys.argv[1] if len(sys.argv) > 1 else "doremi.yaml")
