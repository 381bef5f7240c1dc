{{/* operator.yaml, as netprecursor-operator's `Config` reads it: what is empty is left out, defaults are the operator's. */}}
{{- define "netprecursor.operatorConfig" -}}
{{- with .Values.clusterName }}
clusterName: {{ . | quote }}
{{- end }}
{{- with .Values.clusterNetworks }}
clusterNetworks:
  {{- include "netprecursor.yaml" . | nindent 2 }}
{{- end }}
logLevel: {{ default .Values.logLevel .Values.operator.logLevel | quote }}
anchor: {{ include "netprecursor.anchor" . | quote }}
leaseName: {{ include "netprecursor.operator" . | quote }}
metricsListen: "0.0.0.0:8080"
metricsAuthorization: {{ .Values.metrics.authorization | quote }}
alertTtl: {{ .Values.alerts.ttl | quote }}
caps:
  alertsPerNode: {{ int64 .Values.alerts.caps.perNode }}
  alertsPerNamespace: {{ int64 .Values.alerts.caps.perNamespace }}
  alertsPerCluster: {{ int64 .Values.alerts.caps.perCluster }}
{{- include "netprecursor.receiversConfig" . }}
{{- include "netprecursor.scalingConfig" . }}
agent:
  name: {{ include "netprecursor.agent" . | quote }}
  serviceAccountName: {{ include "netprecursor.agent" . | quote }}
  {{- with .Values.agent }}
  image: {{ include "netprecursor.image" (dict "root" $ "image" .image) | quote }}
  imagePullPolicy: {{ .image.pullPolicy | quote }}
  logLevel: {{ default $.Values.logLevel .logLevel | quote }}
  stateDir: {{ .stateDir | quote }}
  terminationGracePeriodSeconds: {{ int64 .terminationGracePeriodSeconds }}
  lingerAfterLastPolicySeconds: {{ int64 .lingerAfterLastPolicySeconds }}
  {{- with .priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- include "netprecursor.yaml" . | nindent 4 }}
  {{- end }}
  {{- $agent := . }}
  {{- range $field := list "resources" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "annotations" "labels" "podAnnotations" "podLabels" }}
  {{- with get $agent $field }}
  {{ $field }}:
    {{- include "netprecursor.yaml" . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with include "netprecursor.environment" (dict "given" .env) }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .updateStrategy }}
  updateStrategy:
    {{- include "netprecursor.strategy" . | nindent 4 }}
  {{- end }}
  {{- with include "netprecursor.profiles" .securityContext }}
  securityContext:
    {{- . | nindent 4 }}
  {{- end }}
  {{- if .otlp.endpoint }}
  otlp:
    endpoint: {{ .otlp.endpoint | quote }}
    protocol: {{ .otlp.protocol | quote }}
    {{- with .otlp.headersSecret }}
    headersSecret: {{ . | quote }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The profiles of a container that are given. */}}
{{- define "netprecursor.profiles" -}}
{{- $given := dict -}}
{{- range $field, $profile := . -}}
{{- if $profile }}{{ $_ := set $given $field $profile }}{{ end -}}
{{- end -}}
{{- if $given }}{{ include "netprecursor.yaml" $given }}{{ end -}}
{{- end -}}
