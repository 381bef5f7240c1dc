{{/* The rules by which operator and agents find out who may read their metrics. */}}
{{- define "netprecursor.reviews" -}}
{{- if eq .Values.metrics.authorization "Required" }}
# Who reads metrics.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}
{{- end -}}

{{/* Whether a monitor of the chart needs a token. */}}
{{- define "netprecursor.scrapes" -}}
{{- $monitoring := .Values.monitoring -}}
{{- if and (eq .Values.metrics.authorization "Required") (or $monitoring.serviceMonitor.enabled $monitoring.podMonitor.enabled) }}true{{ end -}}
{{- end -}}

{{/* The token in a monitor's endpoint. */}}
{{- define "netprecursor.scrapeToken" -}}
{{- if include "netprecursor.scrapes" . -}}
authorization:
  credentials: {name: {{ printf "%s-metrics-reader" (include "netprecursor.fullname" .) | quote }}, key: token}
{{- end }}
{{- end -}}
