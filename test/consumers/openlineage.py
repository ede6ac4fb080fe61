"""Reads an export to OpenLineage with openlineage-python's own classes: python openlineage.py FOLDER [SPEC]

Every event and facet is built anew by its class, which checks types, UUIDs, URIs and times. With SPEC, the spec folder
of OpenLineage's repository, events are validated against its JSON schemas too, as are the facets. Prints one JSON line:
the unit, the achieved weights from the run's mixture, and what was checked.
"""

import json
import pathlib
import sys

sys.path.pop(0)  # this folder: the file bears the package's name

import attr  # noqa: E402
from openlineage.client import event_v2, facet_v2  # noqa: E402

FACETS = {
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "documentation": facet_v2.documentation_job.DocumentationJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "inputStatistics": facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


def facets(values: dict) -> dict:
    built = {}
    for name, value in values.items():
        if name not in FACETS:
            assert name == "doremi_mixture", name
            continue
        fields = {key: item for key, item in value.items() if not key.startswith("_")}
        if name == "schema":
            fields["fields"] = [facet_v2.schema_dataset.SchemaDatasetFacetFields(**item) for item in fields["fields"]]
        if name == "columnLineage":
            fields["fields"] = {column: lineage(item["inputFields"]) for column, item in fields["fields"].items()}
        built[name] = FACETS[name](**fields, producer=value["_producer"])
        assert built[name]._schemaURL == value["_schemaURL"], (built[name]._schemaURL, value["_schemaURL"])
    return built


def lineage(inputs: list) -> facet_v2.column_lineage_dataset.Fields:
    module = facet_v2.column_lineage_dataset
    return module.Fields(
        inputFields=[
            module.InputField(**{**one, "transformations": [module.Transformation(**of) for of in one["transformations"]]})
            for one in inputs
        ]
    )


def event_of(value: dict) -> event_v2.RunEvent:
    return event_v2.RunEvent(
        eventTime=value["eventTime"],
        eventType=event_v2.RunState[value["eventType"]],
        producer=value["producer"],
        run=event_v2.Run(runId=value["run"]["runId"], facets=facets(value["run"]["facets"])),
        job=event_v2.Job(value["job"]["namespace"], value["job"]["name"], facets=facets(value["job"]["facets"])),
        inputs=[
            event_v2.InputDataset(
                one["namespace"], one["name"], facets=facets(one["facets"]), inputFacets=facets(one["inputFacets"])
            )
            for one in value["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(
                one["namespace"], one["name"], facets=facets(one["facets"]), outputFacets=facets(one["outputFacets"])
            )
            for one in value["outputs"]
        ],
    )


def validate(values: list, spec: pathlib.Path) -> int:
    import jsonschema
    from referencing import Registry, Resource

    schemas = [json.loads(path.read_text()) for path in [spec / "OpenLineage.json", *(spec / "facets").glob("*.json")]]
    registry = Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)
    checks = jsonschema.Draft202012Validator.FORMAT_CHECKER

    def check(value: dict, url: str) -> None:
        jsonschema.Draft202012Validator({"$ref": url}, registry=registry, format_checker=checks).validate(value)

    checked = 0
    for value in values:
        check(value, value["schemaURL"])
        parts = [value["run"]["facets"], value["job"]["facets"]]
        for one in [*value["inputs"], *value["outputs"]]:
            parts += [one["facets"], one.get("inputFacets", {}), one.get("outputFacets", {})]
        for facet in (facet for part in parts for facet in part.values()):
            check(facet, facet["_schemaURL"])
            checked += 1
    return checked


def main(folder: pathlib.Path, spec: pathlib.Path | None) -> dict:
    values = [json.loads(line) for line in (folder / "openlineage.ndjson").read_text().splitlines()]
    events = [event_of(value) for value in values]
    assert [event.eventType.name for event in events] == ["START", "COMPLETE"]
    assert events[0].run.runId == events[1].run.runId
    for value, event in zip(values, events, strict=True):
        again = attr.asdict(event)
        assert [one["name"] for one in again["inputs"]] == [one["name"] for one in value["inputs"]]
    # Whatever a column is made of is a column of an input.
    known = {(one["name"], field["name"]) for one in values[1]["inputs"] for field in one["facets"]["schema"]["fields"]}
    for output in events[1].outputs:
        for column in output.facets["columnLineage"].fields.values():
            assert column.inputFields and all((one.name, one.field) in known for one in column.inputFields), output.name
    mixture = values[1]["run"]["facets"]["doremi_mixture"]
    return {
        "unit": "tokens",
        "weights": {domain["name"]: domain["achievedWeight"] for domain in mixture["domains"]},
        "inputs": len(events[1].inputs),
        "outputs": len(events[1].outputs),
        "validated": validate(values, spec) if spec else None,
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
