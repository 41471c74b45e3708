# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The manifests and scripts for GKE: what they would apply is well-formed, and what they call is recorded, not run.

The schema below is of those fields of JobSet (jobset.x-k8s.io/v1alpha2) and of batch/v1 Job that the manifests use,
written from their references, since neither is in a Python package; a field that it does not know is a fault.
"""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TRAIN, XPK, ENTRY = (f"launch/gke/{name}.sh" for name in ("train", "xpk", "entry"))
CONFIG = "configs/quickstart.py"
IMAGE = "europe-docker.pkg.dev/me/repo/grpo-jax:1"
OVERRIDES = ("output_dir=gs://bucket/out", 'domains.math.system_prompt="say \\"yes\\" & go"')


def fields(required: tuple[str, ...] = (), **known: Any) -> dict[str, Any]:
    return {"type": "object", "properties": known, "required": [*required], "additionalProperties": False}


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TRUTH: dict[str, Any] = {"type": "boolean"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
LABEL = {"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
VARIABLE = fields(
    ("name",),
    name={"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
    value=TEXT,
    valueFrom=fields(("fieldRef",), fieldRef=fields(("fieldPath",), fieldPath=TEXT)),
)
CONTAINER = fields(
    ("name", "image", "args", "resources"),
    name=LABEL,
    image=TEXT,
    args=list_of(TEXT),
    env=list_of(VARIABLE),
    ports=list_of(fields(("containerPort",), containerPort={"type": "integer", "minimum": 1, "maximum": 65535})),
    volumeMounts=list_of(fields(("name", "mountPath"), name=LABEL, mountPath=TEXT)),
    resources=fields(("limits",), limits={"type": "object", "additionalProperties": COUNT, "minProperties": 1}),
)
POD = fields(
    ("restartPolicy", "containers"),
    restartPolicy={"enum": ["Never", "OnFailure"]},
    terminationGracePeriodSeconds=COUNT,
    serviceAccountName=TEXT,
    nodeSelector=TEXTS,
    tolerations=list_of(fields(("operator",), key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect=TEXT)),
    volumes=list_of(fields(("name",), name=LABEL, emptyDir=fields(medium={"enum": ["", "Memory"]}))),
    containers=list_of(CONTAINER),
)
JOB = fields(
    ("template",),
    parallelism=COUNT,
    completions=COUNT,
    completionMode={"enum": ["Indexed", "NonIndexed"]},
    backoffLimit=COUNT,
    template=fields(("spec",), spec=POD),
)
JOB_SET = fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=fields(("name",), name=LABEL, namespace=LABEL, annotations=TEXTS),
    spec=fields(
        ("replicatedJobs",),
        failurePolicy=fields(maxRestarts=COUNT),
        network=fields(enableDNSHostnames=TRUTH, publishNotReadyAddresses=TRUTH, subdomain=LABEL),
        replicatedJobs=list_of(
            fields(("name", "template"), name=LABEL, replicas=COUNT, template=fields(("spec",), spec=JOB))
        ),
    ),
)


def bash(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *words], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def manifest(*words: str) -> dict[str, Any]:
    shown = bash(TRAIN, "--dry-run", "--image", IMAGE, *words)
    assert shown.returncode == 0, shown.stderr
    return yaml.safe_load(shown.stdout)


def recorder(folder: Path, name: str, body: str = "") -> str:
    """A command that writes its words, and what it reads, to `calls`."""
    path = folder / name
    path.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >> {folder}/calls\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("platform", ["tpu", "gpu"])
def test_a_manifest_is_well_formed_and_carries_config_and_overrides(platform):
    found = manifest("--platform", platform, "--hosts", "2", "--name", "mine", CONFIG, *OVERRIDES)
    jsonschema.validate(found, JOB_SET)
    assert found["metadata"]["name"] == "mine"
    job = found["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert (job["parallelism"], job["completions"], job["completionMode"]) == (2, 2, "Indexed")
    container = job["template"]["spec"]["containers"][0]
    assert container["args"] == [platform, CONFIG, *OVERRIDES]
    assert container["image"] == IMAGE
    assert container["resources"]["limits"] == {"google.com/tpu": 4} if platform == "tpu" else {"nvidia.com/gpu": 8}


def test_gpu_hosts_are_told_where_the_first_is_and_who_they_are():
    found = manifest("--platform", "gpu", "--hosts", "3", "--name", "mine", CONFIG)
    container = found["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry for entry in container["env"]}
    # JobSet names pods <set>-<job>-<job index>-<pod index>, in a subdomain of the set's own name.
    job = found["spec"]["replicatedJobs"][0]["name"]
    assert environment["JAX_COORDINATOR_ADDRESS"]["value"] == f"mine-{job}-0-0.mine:8476"
    assert environment["JAX_NUM_PROCESSES"]["value"] == "3"
    assert "job-completion-index" in environment["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]


@pytest.mark.parametrize("change", [{"hosts": 2}, {"failurePolicy": {"maxRestarts": "many"}}, {"replicatedJobs": []}])
def test_the_schema_refuses_what_is_no_jobset(change):
    found = manifest(CONFIG)
    found["spec"] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, JOB_SET)


@pytest.mark.parametrize("script", [TRAIN, XPK, ENTRY])
def test_a_script_explains_itself(script):
    shown = bash(script, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"usage: bash {script}" in shown.stdout
    assert bash(script).returncode == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((TRAIN, "--image", IMAGE, "nowhere.py"), "nowhere.py: no such config"),
        ((TRAIN, CONFIG), "--image is missing"),
        ((TRAIN, "--image", IMAGE, "--platform", "abacus", CONFIG), "--platform abacus is not tpu or gpu"),
        ((TRAIN, "--image", IMAGE, "--name", "My Run", CONFIG), "--name My Run is no name of Kubernetes"),
        ((TRAIN, "--image", IMAGE, "--hosts", "few", CONFIG), "--hosts few is not a number"),
        ((TRAIN, "--image", IMAGE, "/etc/hostname"), "/etc/hostname lies outside"),
        ((XPK, "--image", IMAGE, CONFIG), "--cluster is missing"),
        ((XPK, "--wrong", CONFIG), "unknown option --wrong"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(words, message):
    shown = bash(*words, KUBECTL="false", XPK="false")
    assert shown.returncode == 2
    assert f"error: {message}" in shown.stderr


def test_train_builds_applies_and_follows(tmp_path):
    applied = tmp_path / "applied.yaml"
    kubectl = recorder(tmp_path, "kubectl", f'[[ "$*" == apply* ]] && cat > {applied}; true')
    docker = recorder(tmp_path, "docker")
    shown = bash(TRAIN, "--image", IMAGE, "--build", CONFIG, *OVERRIDES, KUBECTL=kubectl, DOCKER=docker)
    assert shown.returncode == 0, shown.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls[:2]] == ["build", "push"]
    assert "--build-arg EXTRA=tpu" in calls[0]
    assert [
        next(word for word in call.split() if word in ("delete", "apply", "wait", "logs")) for call in calls[2:]
    ] == [
        "delete",
        "apply",
        "wait",
        "logs",
    ]
    jsonschema.validate(yaml.safe_load(applied.read_text()), JOB_SET)
    assert "job-name=grpo-jax-slice-0" in calls[-1]


def test_a_cluster_that_refuses_ends_the_script(tmp_path):
    kubectl = recorder(tmp_path, "kubectl", '[[ "$*" != apply* ]]')
    assert bash(TRAIN, "--image", IMAGE, CONFIG, KUBECTL=kubectl).returncode != 0
    assert "logs" not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(("kind", "wanted"), [("v6e-16", "--tpu-type=v6e-16"), ("h100-80gb-8", "--device-type=h100")])
def test_xpk_gets_one_workload_with_the_whole_command(tmp_path, kind, wanted):
    words = (XPK, "--cluster", "mine", "--image", IMAGE, "--type", kind)
    shown = bash(*words, CONFIG, *OVERRIDES, XPK=recorder(tmp_path, "xpk"))
    assert shown.returncode == 0, shown.stderr
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("workload create --cluster=mine --workload=grpo-jax ")
    assert wanted in call
    assert f"--command=bash launch/gke/entry.sh {'tpu' if kind.startswith('v') else 'gpu'} {CONFIG}" in call
    dry = bash(*words, "--dry-run", CONFIG, *OVERRIDES, XPK="not-installed")
    assert dry.stdout.startswith("not-installed workload create")


def test_a_container_that_is_told_to_stop_saves_and_asks_to_be_started_again(tmp_path):
    recorder(tmp_path, "grpo-jax", "trap 'sleep 0.3; echo saved; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done")
    with subprocess.Popen(
        ["bash", ENTRY, "tpu", CONFIG, *OVERRIDES],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        started.terminate()
        assert started.stdout.read() == "saved\n"
        assert started.wait(timeout=60) == 143
    assert (tmp_path / "calls").read_text() == f"train {CONFIG} {' '.join(OVERRIDES)}\n"


@pytest.mark.parametrize("code", [0, 3])
def test_a_container_ends_as_its_run_does(tmp_path, code):
    recorder(tmp_path, "grpo-jax", f'echo "$LIBTPU_INIT_ARGS"; exit {code}')
    shown = bash(ENTRY, "tpu", CONFIG, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert shown.returncode == code
    assert "--xla_tpu" in shown.stdout
