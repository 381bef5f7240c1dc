"""Requests that nobody would think of, a thousand for each route of a document, drawn from it by schemathesis: none may be
answered by an error of the server, or otherwise than the document says."""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

# Who is well may still refuse what fits the schema: how wide a row is depends on the model, and a target may be gone.
NOT_CHECKED = "positive_data_acceptance"
# Examples of the document, the borders of each schema, and what is drawn.
PHASES = "examples,coverage,fuzzing"
# A route takes a quarter of a minute; beyond this, s, its run is stuck.
LIMIT = 300
# How what does not fit the schema is refused; the library does not know that a body may be too long.
REFUSALS = ("400", "404", "405", "408", "413", "415", "503")
# What never ends by itself: a client would wait for the end of the body.
STREAMS = ("application/x-ndjson", "text/event-stream")


def operations(document):
    """Paths with their only operation. Posts take longest, so they come first; alerts take time to come, so they come last."""
    one = [(path, *next(iter(item.items()))) for path, item in document["paths"].items()]
    one.sort(key=lambda route: (route[1] == "post", route[0]), reverse=True)
    return [(path, operation) for path, _, operation in one]


def is_stream(operation):
    """Whether its answer does not end."""
    return any(kind in STREAMS for kind in operation["responses"]["200"]["content"])


def names_target(operation):
    """Whether it is about a target."""
    return any(parameter["name"] == "target" for parameter in operation.get("parameters", []))


def lighten(fields):
    """Lets lines be of any width or by name: a row of every feature takes the drawer a second, and tests of the crate post
    some. What does not fit this does not fit the document either."""
    for field in ("rows", "sequences"):
        fields[field]["items"] = {"type": ["array", "object"]}
    second = fields["signals"]["items"]["items"]
    fields["signals"]["items"]["items"] = next(line for line in second["oneOf"] if line["type"] == "object")


def varied(document, targets):
    """The document with something to draw for each route: names of targets that exist, and a parameter that nobody reads where
    there is none, because there would be one request otherwise."""
    document = copy.deepcopy(document)
    for _, operation in operations(document):
        parameters = operation.setdefault("parameters", [])
        for parameter in parameters:
            if parameter["name"] == "target":
                parameter["schema"] = {"anyOf": [{"enum": targets}, {"type": "string"}]}
        if not parameters and "requestBody" not in operation:
            parameters.append({"name": "any", "in": "query", "schema": {"type": "string"}})
    lighten(document["components"]["schemas"]["DetectRequest"]["properties"])
    return document


def fetch(url, patience=10):
    """The JSON at an address of this machine, whatever proxy the environment names. Who does not listen yet is waited for."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    begun = time.monotonic()
    while True:
        try:
            with opener.open(url, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            if time.monotonic() - begun > patience:
                raise SystemExit(f"{url}: got {error} for {patience} s, expected a server") from error
            time.sleep(0.2)


def watched(url, patience):
    """Names of the targets, once there are some: an agent answers before its first tick, and has none then."""
    begun = time.monotonic()
    while True:
        names = [target["target"] for target in fetch(url)]
        if names:
            return names
        if time.monotonic() - begun > patience:
            raise SystemExit(f"{url}: got no target for {patience} s, expected some")
        time.sleep(0.2)


def check(path, document, options):
    """Runs the cases of a route. Returns how many there were, and what went wrong."""
    name = path.strip("/").replace("/", "-").replace(".", "-")
    report = options.out / f"{name}.json"
    report.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", options.url, "--include-path", path,
        "--max-examples", str(options.cases), "--phases", PHASES, "--exclude-checks", NOT_CHECKED,
        "--continue-on-failure", "--seed", str(options.seed), "--generation-database", "none", "--request-timeout", "30", "--request-retries", "2",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color", "--report", "json", "--report-json-path",
        str(report),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd=options.out, check=False
        )
    except subprocess.TimeoutExpired:
        return 0, f"got no end within {LIMIT} s"
    said = ran.stdout + ran.stderr
    ended = f"got exit status {ran.returncode}, expected 0\n{said}"
    if not report.exists():
        return 0, f"got no report, expected one; {ended}"
    cases = json.loads(report.read_text())["test_cases"]["generated"]
    if ran.returncode == 0 and cases < options.cases:
        said = f"got {cases} cases, expected {options.cases} or more\n{said}"
        return cases, said
    return cases, "" if ran.returncode == 0 else ended


def chosen(document, only):
    """The routes to be asked; says why others are not."""
    for path, operation in operations(document):
        if only and path not in only:
            continue
        if is_stream(operation):
            print(f"{path}: not asked, because its answer never ends")
            continue
        yield path, operation


def main():
    """Checks every route, or those that are named. Ends with 1 when one is answered as it should not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", required=True, help="address of the OpenAPI document")
    parser.add_argument("--url", required=True, help="address of the server")
    parser.add_argument("--only", action="append", help="a path; repeatable")
    parser.add_argument("--cases", type=int, default=1000, help="of each route")
    parser.add_argument("--seed", type=int, required=True, help="what the cases are drawn by")
    parser.add_argument("--patience", type=float, default=10, help="seconds for the server to come")
    parser.add_argument("--out", type=Path, required=True, help="where reports go")
    options = parser.parse_args()
    options.url = options.url.rstrip("/")
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    document = fetch(options.document, options.patience)
    routes = list(chosen(document, options.only))
    if not routes:
        parser.error(f"got --only {options.only}, expected paths of the document: {', '.join(document['paths'])}")
    is_about_targets = any(names_target(operation) for _, operation in routes)
    targets = watched(f"{options.url}/api/v1/targets", options.patience) if is_about_targets else []
    settings = f"[checks.negative_data_rejection]\nexpected-statuses = {json.dumps(REFUSALS)}\n"
    (options.out / "schemathesis.toml").write_text(settings)
    drawn = options.out / "openapi.json"
    drawn.write_text(json.dumps(varied(document, targets)))
    print(f"{options.url}: seed {options.seed}, {len(routes)} routes, {len(targets)} targets", flush=True)
    is_well = True
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        running = {pool.submit(check, path, drawn, options): path for path, _ in routes}
        for done in as_completed(running):
            cases, problem = done.result()
            print(f"{running[done]}: {cases} cases, {'FAILED' if problem else 'ok'}\n{problem}".strip(), flush=True)
            is_well = is_well and not problem
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
