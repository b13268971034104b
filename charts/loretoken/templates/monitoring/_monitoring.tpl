{{- /* Series of a container name it themselves: honorLabels keeps `namespace`, `pod` and `container` from being the agent's. */}}
{{- define "loretoken.endpoint" -}}
port: metrics
path: /metrics
interval: {{ .values.interval }}
scrapeTimeout: {{ .values.scrapeTimeout }}
{{- if eq .component "agent" }}
honorLabels: true
relabelings:
  - { sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: instance }
{{- end }}
{{- end }}

{{- /* Alerts of one file: severity becomes a label, texts become annotations. */}}
{{- define "loretoken.alerts" -}}
{{- $values := .root.Values.monitoring.prometheusRule }}
{{- $text := .root.Files.Get .file | replace "%FULLNAME%" (include "loretoken.fullname" .root) | replace "%NAMESPACE%" .root.Release.Namespace }}
{{- range fromYamlArray $text }}
{{- if not (has .alert $values.disabled) }}
- alert: {{ .alert }}
  expr: {{ .expr | quote }}
  {{- with .for }}
  for: {{ . }}
  {{- end }}
  labels:
    severity: {{ .severity }}
    {{- with $values.alertLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    summary: {{ .summary | quote }}
    description: {{ .description | quote }}
{{- end }}
{{- end }}
{{- end }}
