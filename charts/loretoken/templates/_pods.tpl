{{- /* What agent and operator have in common: (dict "root" $ "component" "agent"). */}}

{{- define "loretoken.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount }}
{{- if $account.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "loretoken.account" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "loretoken.componentLabels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false # pods ask for it
{{- end }}
{{- end }}

{{- define "loretoken.podMetadata" -}}
{{- $values := index .root.Values .component }}
labels:
  {{- include "loretoken.componentSelector" . | nindent 2 }}
  {{- with merge (dict) $values.podLabels .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict "kubectl.kubernetes.io/default-container" .component) $values.podAnnotations }}
{{- with .checksum }}{{ $_ := set $annotations "loretoken.dev/config-checksum" . }}{{ end }}
annotations:
  {{- toYaml $annotations | nindent 2 }}
{{- end }}

{{- define "loretoken.podSpec" -}}
{{- $values := index .root.Values .component }}
serviceAccountName: {{ include "loretoken.account" . }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Settings of a program as YAML. Helm has numbers as floats: whole ones are written whole. */}}
{{- define "loretoken.settings" -}}
{{- range $key, $value := . }}
{{- if kindIs "float64" $value }}
{{- if eq $value (floor $value) }}
{{ $key }}: {{ $value | int64 }}
{{- else }}
{{ $key }}: {{ $value }}
{{- end }}
{{- else if not (kindIs "invalid" $value) }}
{{ $key }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}
