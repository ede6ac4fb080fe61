#!/usr/bin/env nextflow
// Learns a mixture and checks its manifest, on Nextflow.
//
//   nextflow run integrations/nextflow/main.nf --pipeline "$PWD/pipelines/quickstart.yaml" --output "$PWD/runs/quickstart"
//
// The output folder is given, not the task's own: each attempt starts in a new work folder, and a run that was stopped
// goes on from what it left in its output folder. The manifest is passed on as a path, not staged as a file, because it
// names the shards relative to where it stands.
nextflow.enable.dsl = 2

params.pipeline = null
params.output = null
params.doremi = 'doremi'

process DOREMI_RUN {
    // 75, 130, 143: stopped with the state saved; 137: killed. All others would come out the same again.
    errorStrategy { task.exitStatus in [75, 130, 137, 143] ? 'retry' : 'terminate' }
    maxRetries 10

    input:
    val pipeline
    val output

    output:
    path 'result.json'

    script:
    """
    ${params.doremi} run '${pipeline}' --output '${output}' --log-format json > result.json
    """
}

process DOREMI_VERIFY {
    errorStrategy 'terminate'

    input:
    val manifest

    output:
    path 'verdict.json'

    script:
    """
    ${params.doremi} verify '${manifest}' --log-format json > verdict.json
    """
}

workflow {
    if (!params.pipeline || !params.output) {
        error 'needs --pipeline FILE and --output FOLDER, absolute paths'
    }
    DOREMI_RUN(params.pipeline, params.output)
    manifest = DOREMI_RUN.out.map { result -> new groovy.json.JsonSlurper().parse(result.toFile()).manifest }
    DOREMI_VERIFY(manifest)
    DOREMI_VERIFY.out.view { verdict -> verdict.text.trim() }
}
