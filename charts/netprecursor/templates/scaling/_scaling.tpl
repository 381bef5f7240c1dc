{{/* Service, Secret and certificate of the API for autoscalers have one name. */}}
{{- define "netprecursor.scaling" -}}{{ include "netprecursor.fullname" . }}-external-metrics{{- end -}}

{{/* The Secret with the API's certificate: one that is given, or the chart's own. */}}
{{- define "netprecursor.scalingSecret" -}}
{{- default (include "netprecursor.scaling" .) .Values.externalMetrics.certificate.secret -}}
{{- end -}}

{{/* A certificate for the API with its authority, as a Secret's data in JSON. One that is there is kept: another would be trusted
before the operator has it. */}}
{{- define "netprecursor.scalingCertificate" -}}
{{- $name := include "netprecursor.scaling" . -}}
{{- $known := default dict (lookup "v1" "Secret" .Release.Namespace $name).data -}}
{{- if and (get $known "ca.crt") (get $known "tls.crt") (get $known "tls.key") -}}
{{- pick $known "ca.crt" "tls.crt" "tls.key" | toJson -}}
{{- else -}}
{{- $authority := genCA (printf "%s-ca" $name | trunc 64) 3650 -}}
{{- $host := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- $own := genSignedCert $name nil (list $host) 3650 $authority -}}
{{- dict "ca.crt" (b64enc $authority.Cert) "tls.crt" (b64enc $own.Cert) "tls.key" (b64enc $own.Key) | toJson -}}
{{- end -}}
{{- end -}}

{{/* Refuses to take the API from another server: autoscalers that read its metrics would stand still. */}}
{{- define "netprecursor.scalingIsFree" -}}
{{- $found := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta1.external.metrics.k8s.io" -}}
{{- if $found -}}
{{- $service := default dict $found.spec.service -}}
{{- $of := printf "%s/%s" (get $service "namespace") (get $service "name") -}}
{{- if ne $of (printf "%s/%s" .Release.Namespace (include "netprecursor.scaling" .)) -}}
{{- fail (printf "got an APIService v1beta1.external.metrics.k8s.io that Service %s serves, expected none: a cluster has one server of external metrics. Leave externalMetrics.enabled=false and have that one ask Prometheus for forecasts (docs/scaling.md), or uninstall it first" $of) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the operator reads of it in operator.yaml. Starts on a line of its own, or is empty. */}}
{{- define "netprecursor.scalingConfig" -}}
{{- if .Values.externalMetrics.enabled }}
externalMetrics:
  listen: "0.0.0.0:8443"
  certificateFile: /etc/netprecursor-external-metrics/tls.crt
  keyFile: /etc/netprecursor-external-metrics/tls.key
{{- end }}
{{- end -}}
