"""A learned mixture as a Dagster asset, its manifest in the asset's metadata, and `doremi verify` as the asset's check.

Both run `doremi` in a Dagster Pipes session, by `doremi-pipes.mjs` beside this file.

    DOREMI            the program, default `doremi` (of the PATH)
    DOREMI_PIPELINE   the pipeline file
    DOREMI_OUTPUT     folder of the results, kept from one try to the next
"""

import os
from pathlib import Path
from typing import Any

import dagster as dg

WRAPPER = Path(__file__).with_name("doremi-pipes.mjs")

# Stopped with the state saved, or killed: the same command goes on where it was. All others come out the same again.
RESUMABLE = {75, 130, 137, 143}
RETRIES = 10


def doremi(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, pipes: dg.PipesSubprocessClient, *arguments: str
) -> tuple[int, dict[str, Any]]:
    """@returns the exit status and the line of JSON that the command printed"""
    invocation = pipes.run(command=["node", str(WRAPPER), *arguments], context=context.op_execution_context)
    (message,) = invocation.get_custom_messages()
    return message["status"], message["result"]


@dg.asset(description="The resampled training set that the learned domain weights call for", kinds={"doremi"})
def mixture(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient) -> dg.MaterializeResult:
    pipeline, output = os.environ["DOREMI_PIPELINE"], os.environ["DOREMI_OUTPUT"]
    status, result = doremi(context, pipes, "run", pipeline, "--output", output)
    if status in RESUMABLE:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=10)
    if status != 0:
        raise dg.Failure(f"doremi run ended with {status}: {result}", allow_retries=False)
    return dg.MaterializeResult(
        metadata={
            "manifest": dg.MetadataValue.path(result["manifest"]),
            "weights": dg.MetadataValue.json(result["weights"]),
            "status": result["status"],
        }
    )


@dg.asset_check(asset=mixture, blocking=True, description="All that the manifest claims, recomputed from the files")
def manifest_agrees(context: dg.AssetCheckExecutionContext, pipes: dg.PipesSubprocessClient) -> dg.AssetCheckResult:
    event = context.instance.get_latest_materialization_event(mixture.key)
    manifest = event.asset_materialization.metadata["manifest"].value
    status, result = doremi(context, pipes, "verify", manifest)
    return dg.AssetCheckResult(passed=status == 0, metadata={"manifest": dg.MetadataValue.path(manifest), "result": result})


definitions = dg.Definitions(
    assets=[mixture],
    asset_checks=[manifest_agrees],
    resources={"pipes": dg.PipesSubprocessClient(forward_termination=True, termination_timeout_seconds=25)},
)
