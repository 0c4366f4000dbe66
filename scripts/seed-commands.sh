#!/usr/bin/env bash
# Type every `aws` command of the reference workflow's page on Glue triggers, in the order somebody new would, against a
# Headgate that serves the example project; look at each answer and at what came of it. One line a command; exit code 1
# when anything is wrong, 2 where there is no such Headgate.
#
#   headgate init my-hub && (cd my-hub && headgate serve) &
#   scripts/seed-commands.sh my-hub [http://localhost:8090]
#
# The commands stand here as the page has them: --endpoint-url is added by the functions `aws` and `aws2`, and the
# inbox's name stands for `your-bucket-name`. What AWS, AWS2, PYTHON and HEADGATE name is called for `aws`, for `aws` of
# version 2 (the only one with `logs tail`; without one those commands are left out, and it says so), Python, headgate.
set -uo pipefail

[ $# -ge 1 ] || { echo "usage: $0 PROJECT [URL]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
project=$(cd "$1" && pwd) || exit 2
URL=${2:-http://localhost:8090}
BUCKET=raw-data

own() { if [ -x "$here/.venv/bin/$1" ]; then echo "$here/.venv/bin/$1"; else echo "$1"; fi; }
AWS=${AWS:-$(own aws)} AWS2=${AWS2:-/usr/bin/aws} PYTHON=${PYTHON:-$(own python)} HEADGATE=${HEADGATE:-$(own headgate)}

# Any keys will do on one's own machine; those of the person who types this are not sent anywhere.
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1 AWS_PAGER= AWS_CONFIG_FILE=/dev/null
export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true PYTHONUNBUFFERED=1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL

aws() { timeout 60 "$AWS" --endpoint-url "$URL" "$@"; }
aws2() { timeout 60 "$AWS2" --endpoint-url "$URL" "$@"; }

folder=$(mktemp -d)
tail=
trap '[ -z "$tail" ] || kill "$tail" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0

# -- how it looks

# try COMMAND…: run it, and keep what it says for `wants`
try() {
    typed=${*/#aws2/aws}
    "$@" >out 2>err
    code=$?
}

# wants WHAT EXPRESSION [CODE]: of the command before. `it` is its answer as JSON, `text` whatever it said, `n` a number
wants() {
    if [ "$code" -ne "${3:-0}" ] && ! { [ "${3:-0}" -ne 0 ] && [ "$code" -eq 254 ]; }; then
        wrong "exit code $code: $(tr '\n' ' ' <err | cut -c -400)"
    elif "$PYTHON" -c '
import json, sys
out, err = (open(name, encoding="utf-8").read() for name in ("out", "err"))
sys.exit(not eval("(" + sys.argv[1] + ")", {"it": json.loads(out) if out.strip()[:1] in ("{", "[") else {}, "text": out + err, "json": json}))
' "$2" 2>why; then
        line ok "$typed" "$1"
    else
        wrong "expected $1; it says: $(cat out err why | tr -s '\n ' ' ' | cut -c -600)"
    fi
}

wrong() { line WRONG "$typed" "$1"; failed=1; }
line() { printf '%-6s %s: %s\n' "$1" "$2" "$3"; }

# so WHAT COMMAND…: what must have come of it, after a while
so() {
    local what=$1
    shift
    if said=$("$@" 2>&1); then line ok "  then" "$what"; else line WRONG "  then" "expected: $what; found: $said"; failed=1; fi
}

# runs JOB COUNT: the job has this many runs, and all of them have SUCCEEDED; waited for, for a minute
runs() {
    "$PYTHON" - "$URL/headgate/api/v1/runs?limit=100&job=$1" "$2" <<'END'
import json, sys, time, urllib.request
until, wanted = time.monotonic() + 60, int(sys.argv[2])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
states = None
while time.monotonic() < until:
    try:
        with opener.open(sys.argv[1], timeout=30) as answer:
            states = [one["state"] for one in json.load(answer)["items"]]
    except OSError as error:
        sys.exit(f"no Headgate answers at {sys.argv[1]}: {error}")
    live = [one for one in states if one in ("WAITING", "STARTING", "RUNNING")]
    if not live and len(states) >= wanted:
        break
    time.sleep(0.1)
print(states)
sys.exit(states != ["SUCCEEDED"] * wanted)
END
}

# -- upload, and watch

if ! said=$(runs csv-to-iceberg-ingestion 0 2>&1); then
    echo "expected a Headgate at $URL that has run nothing yet, of a project that headgate init has just written: $said" >&2
    exit 2
fi

uploaded="$project/inbox/collections-data/ingest_ts=2026-02-16T10:00:00"
mkdir -p "$uploaded"
printf 'series_id,report_date,value\nFRY9C,2025-12-31,12.50\n' >"$folder/file.csv"
mv "$folder/file.csv" "$uploaded/file.csv"
typed="cp file.csv inbox/collections-data/ingest_ts=2026-02-16T10:00:00/"
line ok "$typed" "uploaded"
so "the ingestion ran" runs csv-to-iceberg-ingestion 1
so "the trigger started the views" runs create-views-dual-engine 1

try aws glue get-job --job-name csv-to-iceberg-ingestion
wants "the job, one run at a time" 'it["Job"]["ExecutionProperty"] == {"MaxConcurrentRuns": 1}'
try aws glue get-job --job-name create-views-dual-engine
wants "the job, one run at a time" 'it["Job"]["ExecutionProperty"] == {"MaxConcurrentRuns": 1}'

# -- manual execution

try aws glue start-job-run \
  --job-name csv-to-iceberg-ingestion \
  --region us-east-1
wants "a run" 'it["JobRunId"].startswith("jr_")'
so "it succeeded" runs csv-to-iceberg-ingestion 2
so "the views followed" runs create-views-dual-engine 2

try aws glue start-job-run \
  --job-name create-views-dual-engine \
  --region us-east-1
wants "a run" 'it["JobRunId"].startswith("jr_")'
so "it succeeded" runs create-views-dual-engine 3

# -- monitoring: the trigger

try aws glue get-trigger --name dual-engine-views-trigger
wants "CONDITIONAL, ACTIVATED, for each success of the ingestion" '
    (it["Trigger"]["Type"], it["Trigger"]["State"]) == ("CONDITIONAL", "ACTIVATED")
    and it["Trigger"]["Predicate"]["Conditions"] == [
        {"LogicalOperator": "EQUALS", "JobName": "csv-to-iceberg-ingestion", "State": "SUCCEEDED"}]
    and it["Trigger"]["Actions"] == [{"JobName": "create-views-dual-engine"}]'
try aws glue get-triggers
wants "it is among them" '"dual-engine-views-trigger" in [one["Name"] for one in it["Triggers"]]'

# -- troubleshooting: the views job does not start, for its trigger is off

try aws glue stop-trigger --name dual-engine-views-trigger
wants "its name" 'it == {"Name": "dual-engine-views-trigger"}'
try aws glue start-job-run --job-name csv-to-iceberg-ingestion --region us-east-1
wants "a run" 'it["JobRunId"].startswith("jr_")'
so "it succeeded" runs csv-to-iceberg-ingestion 3
so "no views followed" runs create-views-dual-engine 3

try aws glue get-trigger --name dual-engine-views-trigger
wants "DEACTIVATED" 'it["Trigger"]["State"] == "DEACTIVATED"'
try aws glue start-trigger --name dual-engine-views-trigger
wants "its name" 'it == {"Name": "dual-engine-views-trigger"}'
try aws glue get-job-runs --job-name csv-to-iceberg-ingestion --max-results 1
wants "one run, which SUCCEEDED" '[one["JobRunState"] for one in it["JobRuns"]] == ["SUCCEEDED"] and it["NextToken"]'

try aws glue start-job-run --job-name csv-to-iceberg-ingestion --region us-east-1
wants "a run" 'it["JobRunId"].startswith("jr_")'
so "it succeeded" runs csv-to-iceberg-ingestion 4
so "the views followed again, and what the trigger missed was not made up" runs create-views-dual-engine 4

# -- monitoring: runs and logs

try aws glue get-job-runs --job-name csv-to-iceberg-ingestion --max-results 10
wants "4 runs, newest first, none by a trigger but the first" '
    [one["JobRunState"] for one in it["JobRuns"]] == ["SUCCEEDED"] * 4
    and [one.get("TriggerName") for one in it["JobRuns"]] == [None, None, None, "csv-uploaded"]
    and [one["StartedOn"] for one in it["JobRuns"]] == sorted((one["StartedOn"] for one in it["JobRuns"]), reverse=True)'
try aws glue get-job-runs --job-name create-views-dual-engine --max-results 10
wants "4 runs, all but that by hand started by the trigger" '
    [one.get("TriggerName") for one in it["JobRuns"]] == ["dual-engine-views-trigger", None, *["dual-engine-views-trigger"] * 2]'
run=$("$PYTHON" -c 'import json; print(json.load(open("out"))["JobRuns"][0]["Id"])')

try aws logs describe-log-streams --log-group-name /aws-glue/jobs/output --log-stream-name-prefix "$run"
wants "the run has a stream of its name" '[one["logStreamName"] for one in it["logStreams"]] == ["'"$run"'"]'
try aws logs get-log-events --log-group-name /aws-glue/jobs/output --log-stream-name "create-views-dual-engine/$run"
wants "it is found by job name and run id, too, and has lines" 'len(it["events"]) > 0'

# -- troubleshooting: the function does not start the ingestion

try aws s3api get-bucket-notification-configuration \
  --bucket "$BUCKET"
wants "created objects below collections-data/" '
    [one["Events"] for one in it["LambdaFunctionConfigurations"]] == [["s3:ObjectCreated:*"]] * 2
    and all({"Name": "Prefix", "Value": "collections-data/"} in one["Filter"]["Key"]["FilterRules"]
            for one in it["LambdaFunctionConfigurations"])'

two=
case $("$AWS2" --version 2>&1) in aws-cli/2*) two=yes ;; esac
if [ -n "$two" ]; then
    # not by the function: what is killed below would be a shell, and the command would go on
    timeout 60 "$AWS2" --endpoint-url "$URL" \
        logs tail /aws/lambda/trigger-glue-job-lambda --follow >tail.out 2>tail.err &
    tail=$!
fi

skipped='it["StatusCode"] == 200 and "FunctionError" not in it and [
    (one["outcome"], one["reason"].partition(":")[0]) for one in json.load(open("response.json"))["events"]
] == [("skipped", "prefix")]'
try aws lambda invoke \
  --function-name trigger-glue-job-lambda \
  --payload '{"Records":[{"s3":{"bucket":{"name":"test"},"object":{"key":"test.csv"}}}]}' \
  response.json
wants "response.json says why this key starts nothing" "$skipped"

if [ -n "$two" ]; then
    try aws2 lambda invoke \
      --function-name trigger-glue-job-lambda \
      --payload '{"Records":[{"s3":{"bucket":{"name":"test"},"object":{"key":"test.csv"}}}]}' \
      --cli-binary-format raw-in-base64-out \
      response.json
    wants "the same by version 2, which takes a payload in base64 unless told" "$skipped"

    typed="aws logs tail /aws/lambda/trigger-glue-job-lambda --follow"
    until [ "$(grep -c 'REPORT RequestId' tail.out)" -ge 2 ] || ! kill -0 "$tail" 2>/dev/null; do sleep 0.2; done
    kill "$tail" 2>/dev/null
    wait "$tail" 2>/dev/null
    tail= code=0
    cp tail.out out
    cp tail.err err
    wants "both invocations, while they happened" 'text.count("START RequestId") == 2 == text.count("REPORT RequestId")'
else
    line "left out" "aws logs tail /aws/lambda/trigger-glue-job-lambda --follow" \
        "a command of version 2, and $AWS2 is none (AWS2=… names one; Debian's package is awscli)"
fi

# -- or delete it: what is deleted cannot be started again

try aws glue delete-trigger --name dual-engine-views-trigger
wants "its name" 'it == {"Name": "dual-engine-views-trigger"}'
try aws glue start-trigger --name dual-engine-views-trigger
wants "EntityNotFoundException" '"(EntityNotFoundException) when calling the StartTrigger operation" in text' 255

restore() { (cd "$project" && "$HEADGATE" apply --yes); }
try restore
typed="headgate apply --yes"
wants "what was deleted by hand is restored from headgate.yaml" '"dual-engine-views-trigger" in text'

if [ "$failed" -eq 0 ]; then echo "All of it is as it should be."; else echo "Something is WRONG; see above."; fi
exit "$failed"
