"""The manifests fit Kubernetes' schemas, each other, and the product."""

import copy
import re
import subprocess

import kubernetes_validate
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve
from prometheus_client import REGISTRY

from llm.jobs.views.uploads import FORM_BYTES
from llm.models import Model
from tests.deploy.promql import RULES_PATH
from tests.deploy.tools import (
    DEPLOY,
    ROOT,
    SERVICES,
    Manifest,
    check_settings,
    containers,
    make_secrets,
    manifests,
    pods,
    render,
)
from valuecanvas import env

# The oldest release that has all that is used, and the newest known one.
VERSIONS = ("1.28", kubernetes_validate.latest_version())
# Kinds of operators, whose schemas no package has: looked at below.
OPERATORS = {"ScaledObject", "ServiceMonitor", "PodMonitor"}
SCRAPES = yaml.safe_load(RULES_PATH.with_name("prometheus.yaml").read_text())[
    "scrape_configs"
]
CHECKLIST = (ROOT / "docs/DEPLOYMENT_CHECKLIST.md").read_text()


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests__of_production__fit_the_schemas(version: str) -> None:
    for one in render():
        if one["kind"] not in OPERATORS:
            kubernetes_validate.validate(one, version, strict=True)


def test_schemas__an_unknown_or_missing_field__is_found() -> None:
    web = copy.deepcopy(manifests("Deployment")["web"])
    web["spec"]["template"]["spec"]["hostname_"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(web, VERSIONS[0], strict=True)


def test_base__by_itself__can_be_rendered() -> None:
    kinds = {one["kind"] for one in render(DEPLOY / "k8s/base")}
    assert not kinds & OPERATORS
    assert {"Deployment", "CronJob", "NetworkPolicy"} <= kinds


def test_names__of_settings_and_secrets__exist() -> None:
    for pod in pods().values():
        for one in containers(pod):
            for source in one["envFrom"]:
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] in manifests("ConfigMap")
                else:
                    name = source["secretRef"]["name"]
                    assert f"create secret generic {name} " in CHECKLIST
    (tls,) = manifests("Ingress")["web"]["spec"]["tls"]
    assert f"create secret tls {tls['secretName']} " in CHECKLIST


def commands() -> dict[str, list[str]]:
    """What each container runs; empty for the image's own."""
    return {
        name: one.get("command") or one.get("args", [])
        for pod_name, pod in pods().items()
        for one in containers(pod)
        for name in [pod_name if one["name"] == "app" else one["name"]]
    }


def test_commands__of_all_manifests__exist_and_are_those_of_compose() -> None:
    found = commands()
    for name in ("web", "worker", "beat", "migrate"):
        assert found[name] == SERVICES[name].get("command", [])
    named = re.findall(r"manage.py (\w+)", " ".join(map(" ".join, found.values())))
    assert {"upgrade", "migrate", "backup"} == set(named)
    assert set(named) <= get_commands().keys()


def test_volumes__that_are_mounted__exist() -> None:
    for name, pod in pods().items():
        has = {one["name"] for one in pod["spec"]["volumes"]}
        wants = {v["name"] for c in containers(pod) for v in c["volumeMounts"]}
        assert has == wants, name


def labels() -> list[dict[str, str]]:
    return [pod["metadata"]["labels"] for pod in pods().values()]


def selectors(one: Manifest) -> list[dict[str, str]]:
    spec = one["spec"]
    found = [spec.get("selector"), spec.get("podSelector")]
    pod = spec.get("template", {}).get("spec", {})
    found += [x["labelSelector"] for x in pod.get("topologySpreadConstraints", ())]
    return [x.get("matchLabels", x) for x in found if x]


def test_selectors__of_every_kind__match_a_pod() -> None:
    seen = 0
    for one in render():
        for selector in selectors(one) if "spec" in one else ():
            if "matchExpressions" not in selector:
                seen += 1
                assert any(selector.items() <= it.items() for it in labels()), one
    assert seen >= 10


def test_network__by_default__denies_and_names_components_that_exist() -> None:
    policy = manifests("NetworkPolicy")["internet"]
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    components = {it["app.kubernetes.io/component"] for it in labels()}
    assert set(expression["values"]) <= components
    deny = manifests("NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_targets__of_scalers__exist() -> None:
    scalers = [*manifests("HorizontalPodAutoscaler").values()]
    scalers += manifests("ScaledObject").values()
    deployments = manifests("Deployment")
    for one in scalers:
        target = deployments[one["spec"]["scaleTargetRef"]["name"]]
        # Else each apply would undo what the autoscaler did.
        assert "replicas" not in target["spec"]
    assert len(scalers) == 2


def test_ports__by_name__are_the_web_process_s() -> None:
    (app,) = pods()["web"]["spec"]["containers"]
    (port,) = app["ports"]
    (service,) = manifests("Service")["web"]["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    (rule,) = manifests("Ingress")["web"]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "web", "port": {"name": service["name"]}}
    (ingress,) = manifests("NetworkPolicy")["web"]["spec"]["ingress"]
    assert [one["port"] for one in ingress["ports"]] == [port["name"]]
    monitor = manifests("ServiceMonitor")["web"]["spec"]
    service_labels = manifests("Service")["web"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= service_labels.items()
    assert [one["port"] for one in monitor["endpoints"]] == [service["name"]]
    assert f'"{port["containerPort"]}"' in (DEPLOY / "Dockerfile").read_text()


def test_worker__port_of_its_metrics__is_open_to_prometheus_alone() -> None:
    (app,) = [c for c in pods()["worker"]["spec"]["containers"] if c["name"] == "app"]
    (port,) = app["ports"]
    (setting,) = app["env"]
    assert setting["name"] in env.DECLARED
    assert setting["value"] == str(port["containerPort"])
    (scrape,) = manifests("PodMonitor")["worker"]["spec"]["podMetricsEndpoints"]
    (web,) = manifests("ServiceMonitor")["web"]["spec"]["endpoints"]
    assert scrape["port"] == port["name"]
    assert scrape["authorization"] == web["authorization"]
    (ingress,) = manifests("NetworkPolicy")["worker"]["spec"]["ingress"]
    assert [one["port"] for one in ingress["ports"]] == [port["name"]]
    assert len(ingress["from"]) == 1
    jobs = {one["job_name"] for one in SCRAPES}
    assert scrape["relabelings"] == [
        {"targetLabel": "job", "replacement": "valuecanvas-worker"}
    ]
    assert {"valuecanvas", "valuecanvas-worker"} <= jobs


def test_paths__of_probes_and_scrapes__are_on_the_hot_path() -> None:
    (app,) = pods()["web"]["spec"]["containers"]
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = [app[kind]["httpGet"]["path"] for kind in kinds]
    paths.append(manifests("ServiceMonitor")["web"]["spec"]["endpoints"][0]["path"])
    for path in paths:
        assert resolve(path, "valuecanvas.http.hot_urls")
    assert app["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_pods__of_every_kind__are_restricted() -> None:
    for name, pod in pods().items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        security = spec["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in containers(pod):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= one["resources"].keys(), name


def test_images__of_every_pod__are_this_version() -> None:
    version = settings.SPECTACULAR_SETTINGS["VERSION"]
    images = {one["image"] for pod in pods().values() for one in containers(pod)}
    assert images == {f"registry.example.com/valuecanvas:{version}"}


def test_web__told_to_stop__has_time_to_drain() -> None:
    spec = pods()["web"]["spec"]
    (app,) = spec["containers"]
    before = int(app["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = settings.SHUTDOWN_GRACE_S + settings.SHUTDOWN_STREAMS_S
    # docs/OPERATIONS.md: 8 s above the drain until it is killed.
    assert spec["terminationGracePeriodSeconds"] >= before + drain + 8
    assert manifests("Deployment")["beat"]["spec"]["strategy"] == {"type": "Recreate"}
    assert manifests("Deployment")["beat"]["spec"]["replicas"] == 1


def test_web__journal__outlives_the_container_and_the_node_evicts_others_first() -> (
    None
):
    spec = pods()["web"]["spec"]
    (app,) = spec["containers"]
    mounts = {one["mountPath"]: one["name"] for one in app["volumeMounts"]}
    (config,) = manifests("ConfigMap").values()
    name = mounts[config["data"]["VALUECANVAS_VAR"]]
    (volume,) = [one for one in spec["volumes"] if one["name"] == name]
    assert "emptyDir" in volume
    assert "medium" not in volume["emptyDir"]
    resources = app["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_ingress__limits__are_the_gateway_s() -> None:
    notes = manifests("Ingress")["web"]["metadata"]["annotations"]
    nginx = "nginx.ingress.kubernetes.io"
    size = notes[f"{nginx}/proxy-body-size"]
    form = int(size.removesuffix("m")) * 2**20 - settings.FILES_MAX_BYTES
    assert FORM_BYTES <= form <= 2**20
    assert notes["nginx.org/client-max-body-size"] == size
    longest = Model._meta.get_field("total_stream_s").default
    assert int(notes[f"{nginx}/proxy-read-timeout"]) > longest
    assert notes[f"{nginx}/proxy-buffering"] == "off"
    assert notes["nginx.org/proxy-buffering"] == "False"


@pytest.mark.django_db
def test_queue__metric_of_the_scaler__exists() -> None:
    (trigger,) = manifests("ScaledObject")["worker"]["spec"]["triggers"]
    wanted = set(re.findall(r"valuecanvas_\w+", trigger["metadata"]["query"]))
    known = {metric.name for metric in REGISTRY.collect()}
    assert wanted
    assert wanted <= known


def test_rules__for_the_operator__are_those_of_prometheus() -> None:
    script = DEPLOY / "observability/prometheus-rule.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=True)
    made = yaml.safe_load(done.stdout)
    assert made["kind"] == "PrometheusRule"
    assert made["spec"] == yaml.safe_load(RULES_PATH.read_text())
    # By this label of the Service, Prometheus names the job as the rules do.
    job = manifests("ServiceMonitor")["web"]["spec"]["jobLabel"]
    assert manifests("Service")["web"]["metadata"]["labels"][job] == "valuecanvas"


def test_settings__of_config_and_secrets__start_in_production(tmp_path) -> None:
    (config,) = manifests("ConfigMap").values()
    secrets = make_secrets(tmp_path / "secrets")
    assert {*config["data"], *secrets} <= env.DECLARED.keys()
    values = config["data"] | {x: path.read_text() for x, path in secrets.items()}
    values |= {
        "DATABASE_URL": "postgresql://u@h/d",
        "REDIS_URL": "redis://:p4ssphrase@h/0",
    }
    assert check_settings(values) == ""
    assert "FIELD_KEY" in check_settings({**values, "FIELD_KEY": "short"})


def test_metrics__token_of_the_monitor__is_a_secret_that_is_made(tmp_path) -> None:
    (endpoint,) = manifests("ServiceMonitor")["web"]["spec"]["endpoints"]
    credentials = endpoint["authorization"]["credentials"]
    assert credentials["name"] == "valuecanvas"
    assert credentials["key"] in make_secrets(tmp_path / "secrets")
