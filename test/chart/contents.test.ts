/** What rendered objects say agrees with the rest of the project: definitions, metrics, webhook, names. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { V1PolicyRule } from "@kubernetes/client-node";
import { parse } from "yaml";
import { configSchema } from "../../device-plugin/src/config/schema.ts";
import { agentRules } from "../e2e/support/agent-account.ts";
import { filesIn, helm, type KubernetesObject, namespace, objectsOf, readText, release, render, root } from "./helm.ts";

const reference = (page: string): string => path.join(root, "docs/reference", page);
const file = (name: string): string => filesIn("cases").get(name) ?? assert.fail(name);

async function objects(name: string, ...more: string[]): Promise<KubernetesObject[]> {
  return objectsOf(await render(file(name), more));
}

function only(found: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const [object, ...others] = found.filter((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(object !== undefined && others.length === 0, `${others.length + 1} or no ${kind} ${name}`);
  return object;
}

/** Names of metrics that a page of docs/reference lists. */
function metricsOf(page: string): string[] {
  return [...readText(reference(page)).matchAll(/^\| `([a-z_]+)` \| (?:gauge|counter|histogram) /gm)].map(
    ([, name = ""]) => name,
  );
}

/** Those of other programs that every cluster with Prometheus has. */
const ofOthers = new Set(["kube_daemonset_status_number_unavailable", "kube_deployment_status_replicas_available"]);

/** Names of metrics in PromQL: what is neither a function, a label, nor a word of the language. */
function namesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\{[^{}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|on|group_left|group_right|without|ignoring)\s*\([^)]*\)/g, " ");
  const words = bare.matchAll(/\b([a-z][a-z0-9_]*)\b(?!\s*\()/g);
  return [...words].map(([, word = ""]) => word).filter((word) => !["and", "or", "unless", "by", "on"].includes(word));
}

test("definitions are those of crds/, and stay unless that was refused", async () => {
  for (const keep of [true, false]) {
    const found = await objects("default", "--set=crds.enabled=true", `--set=crds.keep=${keep}`);
    const definitions = found.filter(({ kind }) => kind === "CustomResourceDefinition");
    const files = readdirSync(path.join(root, "crds"));
    assert.equal(definitions.length, files.length);
    for (const name of files) {
      const own = parse(readText(path.join(root, "crds", name)));
      const { spec, metadata } = only(definitions, "CustomResourceDefinition", own.metadata.name);
      assert.deepEqual(spec, own.spec);
      assert.equal(metadata["annotations" as never]?.["helm.sh/resource-policy"], keep ? "keep" : undefined);
    }
  }
});

test("every metric of the dashboard exists", async () => {
  const found = await objects("agent-alone", "--set=monitoring.dashboard.enabled=true");
  const { data, metadata } = only(found, "ConfigMap", "loretoken-dashboard");
  assert.equal(metadata.labels?.grafana_dashboard, "1");
  const board = JSON.parse(data["loretoken.json"]);
  const expressions: string[] = board.panels.flatMap((panel: { targets?: { expr: string }[] }) =>
    (panel.targets ?? []).map(({ expr }) => expr),
  );
  const queries: string[] = board.templating.list.map(({ query }: { query: string }) => query);
  const asked = new Set([
    ...expressions.flatMap(namesIn),
    ...queries.flatMap((query) => /label_values\(([a-z_]+)/.exec(query)?.[1] ?? []),
  ]);
  assert.ok(asked.size > 25, `only ${asked.size} found`);
  const known = new Set(metricsOf("metrics.md"));
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name)),
    [],
  );
});

test("every metric of an alert exists; alerts have severity and words", async (context) => {
  const found = await objects("monitoring");
  const { groups } = only(found, "PrometheusRule", release).spec;
  const alerts = groups.flatMap(({ rules }: { rules: object[] }) => rules);
  const operatorPage = existsSync(reference("operator.md"));
  if (!operatorPage)
    context.diagnostic("docs/reference/operator.md is not there: the operator's metrics are not checked");
  const known = new Set([...metricsOf("metrics.md"), ...ofOthers, ...(operatorPage ? metricsOf("operator.md") : [])]);
  for (const { alert, expr, annotations, labels } of alerts) {
    const unknown = namesIn(expr).filter((name) => !known.has(name));
    const ofOperator = /^loretoken_(admission|certificate|ca_bundle|operator)_/;
    assert.deepEqual(
      unknown.filter((name) => operatorPage || !ofOperator.test(name)),
      [],
      alert,
    );
    assert.match(labels.severity, /^(info|warning|critical)$/);
    assert.ok(annotations.summary.length > 20 && annotations.description.length > 30, alert);
  }
  assert.ok(alerts.some(({ alert }: { alert: string }) => alert === "LoreTokenGpuUnhealthy"));
  assert.ok(!alerts.some(({ alert }: { alert: string }) => alert === "LoreTokenContainerOff"), "was switched off");
});

test("names in PromQL are found, and nothing else", () => {
  assert.deepEqual(
    namesIn('sum by (gpu, pod) (rate(a_total{x=~"b|c", y="{}"}[5m])) / on (gpu) group_right () d > 0 and on (i) e'),
    ["a_total", "d", "e"],
  );
});

test("the agent's file has what the agent takes, as the values say it", async () => {
  for (const name of ["default", "everything"]) {
    const text = only(await objects(name), "ConfigMap", "loretoken-agent").data["config.yaml"];
    const config = configSchema.parse(parse(text));
    if (name === "default") {
      assert.deepEqual(config, configSchema.parse({}), "nothing but defaults");
      continue;
    }
    assert.deepEqual(
      [config.resource, config.expansion, config.reserve, config.maxPenaltyPercent, config.integrityThreshold],
      ["example.com/vram", 2, { permille: 50 }, 7.5, 1_000_000],
    );
    assert.deepEqual(
      [config.hostFolder, config.pluginFolder, config.podResources, config.listen, config.ignoredXids],
      [
        "/data/loretoken",
        "/data/kubelet/device-plugins",
        "/data/kubelet/pod-resources/kubelet.sock",
        "0.0.0.0:19410",
        [13, 31],
      ],
    );
  }
});

test("the agent's role is what its tests run under, and what policies need", async () => {
  const pairs = (rules: readonly Pick<V1PolicyRule, "apiGroups" | "resources" | "verbs">[]): string[] =>
    rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((name) => verbs.map((verb) => `${verb} ${group}/${name}`))),
    );
  const reads = ["list", "watch"];
  const policies = [
    { apiGroups: [""], resources: ["nodes", "pods", "namespaces"], verbs: reads },
    { apiGroups: ["loretoken.dev"], resources: ["compressionpolicies"], verbs: reads },
  ];
  // Its events from before it was started again: test/e2e/reporting-roles.test.ts.
  const events = [{ apiGroups: [""], resources: ["events"], verbs: ["get"] }];
  const { rules } = only(await objects("default"), "ClusterRole", "loretoken-agent");
  const needed = new Set([...pairs(agentRules), ...pairs(policies), ...pairs(events)]);
  assert.deepEqual(pairs(rules).sort(), [...needed].sort());
});

test("a changed setting makes new pods, a changed version of the chart alone does not", async () => {
  const template = async (...more: string[]): Promise<unknown> =>
    only(await objects("default", ...more), "DaemonSet", "loretoken-agent").spec.template;
  assert.notDeepEqual(await template("--set=agent.settings.expansion=3"), await template());
  const { metadata } = (await template()) as KubernetesObject;
  assert.ok(!JSON.stringify(metadata.labels).includes("0.1.0"), "labels of pods name no version");
});

test("the notes say three commands that fit what was installed", async () => {
  const notes = async (...more: string[]): Promise<string> => {
    // Without a cluster to be asked.
    const env = { ...process.env, KUBECONFIG: "/nowhere" };
    const chartFolder = path.join(root, "charts/loretoken");
    const text = await helm(
      ["install", release, chartFolder, "--dry-run=client", `--namespace=${namespace}`, ...more],
      env,
    );
    return text.split("NOTES:")[1] ?? assert.fail(text.slice(-500));
  };
  const whole = await notes();
  assert.deepEqual(whole.match(/kubectl (?:-n \S+ )?\w+ \w+/g), [
    `kubectl -n ${namespace} rollout status`,
    "kubectl label node",
    "kubectl get gpunodes",
    "kubectl run try",
  ]);
  assert.match(whole, /--annotations=loretoken.dev\/vram=40Gi/);
  const limits = /"limits":\{"loretoken.dev\/vram":"40"\}/;
  assert.match(await notes("--set=operator.enabled=false"), limits);
  assert.match(await notes("--set=agent.enabled=false"), /no node offers loretoken.dev\/vram/);
});

test("two releases share no name", async () => {
  const render2 = async (name: string): Promise<Set<string>> => {
    const text = await helm(["template", name, path.join(root, "charts/loretoken"), `--namespace=${namespace}`]);
    return new Set(
      objectsOf(text)
        .filter(({ kind }) => kind !== "CustomResourceDefinition")
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    );
  };
  const [one, other] = [await render2("loretoken"), await render2("second")];
  assert.deepEqual(
    [...one].filter((name) => other.has(name)),
    [],
  );
});

test("every object has the labels by which a release is found", async () => {
  for (const [name, values] of filesIn("cases")) {
    for (const { kind, metadata } of objectsOf(await render(values))) {
      const { labels } = metadata;
      assert.deepEqual(
        [labels?.["app.kubernetes.io/instance"], labels?.["app.kubernetes.io/managed-by"]],
        [release, "Helm"],
        `${name}: ${kind} ${metadata.name}`,
      );
    }
  }
});
