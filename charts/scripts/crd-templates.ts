/** CustomResourceDefinitions as templates of the chart: Helm installs a folder `crds/` once and never upgrades it. */
import { parse, stringify } from "yaml";

/** @param definition a file of crds/ */
export function crdTemplate(definition: string): string {
  const { metadata, ...rest } = parse(definition) as { metadata: { name: string } };
  // What Helm would take for its own.
  const text = stringify(rest, { lineWidth: 120 }).replaceAll("{{", '{{ "{{" }}');
  const [head = "", ...body] = text.split(/^(?=spec:)/m);
  return [
    "{{- /* Generated from crds/; make generate writes it anew. */ -}}",
    "{{- if .Values.crds.enabled }}",
    `${head}metadata:`,
    `  name: ${metadata.name}`,
    "  labels:",
    '    {{- include "loretoken.labels" . | nindent 4 }}',
    "  {{- if .Values.crds.keep }}",
    "  annotations:",
    "    helm.sh/resource-policy: keep",
    "  {{- end }}",
    `${body.join("")}{{- end }}`,
    "",
  ].join("\n");
}
