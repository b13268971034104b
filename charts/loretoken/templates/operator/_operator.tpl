{{- define "loretoken.operatorConfig" -}}
{{- $full := include "loretoken.fullname" . }}
resource: {{ .Values.resourceName }}
listen: {{ printf "0.0.0.0:%d" (int .Values.operator.ports.webhook) | quote }}
pages: {{ printf "0.0.0.0:%d" (int .Values.operator.ports.pages) | quote }}
service: {{ $full }}-webhook
{{- if eq .Values.operator.certificates.source "own" }}
certificates: own
secret: {{ $full }}-webhook-ca
webhookConfiguration: {{ $full }}
{{- else }}
certificates: mounted
certificateFolder: /etc/loretoken/tls
{{- end }}
{{- include "loretoken.settings" .Values.operator.settings }}
{{- end }}

{{- define "loretoken.operatorSpread" -}}
{{- if .Values.operator.topologySpreadConstraints }}
{{- toYaml .Values.operator.topologySpreadConstraints }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  # Of one revision, so that an update spreads as well as the first start.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "loretoken.componentSelector" (dict "root" $ "component" "operator") | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What one value alone does not show. */}}
{{- define "loretoken.operatorCheck" -}}
{{- $drain := hasKey .settings "drainSeconds" | ternary .settings.drainSeconds 5 }}
{{- if le (float64 .terminationGracePeriodSeconds) (float64 $drain) }}
{{- fail (printf "operator.terminationGracePeriodSeconds: %v is not allowed; allowed: more than operator.settings.drainSeconds, %v" .terminationGracePeriodSeconds $drain) }}
{{- end }}
{{- end }}
