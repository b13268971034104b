{{- define "loretoken.agentConfig" -}}
resource: {{ .Values.resourceName }}
hostFolder: {{ .Values.agent.hostFolder }}
pluginFolder: {{ .Values.agent.kubeletFolder }}/device-plugins
podResources: {{ .Values.agent.kubeletFolder }}/pod-resources/kubelet.sock
listen: {{ printf "0.0.0.0:%d" (int .Values.agent.port) | quote }}
{{- include "loretoken.settings" .Values.agent.settings }}
{{- end }}

{{- /* Any one of the labels is enough: each is a term of its own. */}}
{{- define "loretoken.agentAffinity" -}}
{{- if .Values.agent.affinity }}
affinity:
  {{- toYaml .Values.agent.affinity | nindent 2 }}
{{- else if .Values.agent.gpuNodeLabels }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        {{- range .Values.agent.gpuNodeLabels }}
        - matchExpressions:
            - {{ toJson . }}
        {{- end }}
{{- end }}
{{- end }}
