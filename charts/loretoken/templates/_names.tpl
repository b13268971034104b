{{- define "loretoken.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* The beginning of all names: of namespaced objects and of those of the whole cluster, so that releases do not meet. */}}
{{- define "loretoken.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "loretoken.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "loretoken.selector" -}}
app.kubernetes.io/name: {{ include "loretoken.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "loretoken.labels" -}}
{{ include "loretoken.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Of one workload: (dict "root" $ "component" "agent"). */}}
{{- define "loretoken.componentSelector" -}}
{{ include "loretoken.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "loretoken.componentLabels" -}}
{{ include "loretoken.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "loretoken.componentName" -}}
{{ include "loretoken.fullname" .root }}-{{ .component }}
{{- end }}

{{- define "loretoken.account" -}}
{{- $account := (index .root.Values .component).serviceAccount }}
{{- if and (not $account.create) (not $account.name) }}
{{- fail (printf "%s.serviceAccount.name: the name of an account that is there is needed, since create is false" .component) }}
{{- end }}
{{- default (include "loretoken.componentName" .) $account.name }}
{{- end }}

{{- /* registry/repository@digest, else registry/repository:tag */}}
{{- define "loretoken.image" -}}
{{- $image := (index .root.Values .component).image }}
{{- $registry := .root.Values.image.registry }}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .root.Chart.AppVersion $image.tag }}{{ end }}
{{- end }}
