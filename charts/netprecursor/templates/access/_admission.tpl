{{/* What the admission policies of agents share. A service account's token carries the node of the pod that it was issued
to, signed by the API server: an agent cannot say that it is somewhere else. */}}

{{- define "netprecursor.byAgent" -}}
- name: by-an-agent
  expression: request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "netprecursor.agent" . }}'
{{- end -}}

{{/* The node that the token is bound to, or an empty text, which is no node's name. */}}
{{- define "netprecursor.ownNode" -}}
- name: node
  expression: >-
    has(request.userInfo.extra) && 'authentication.kubernetes.io/node-name' in request.userInfo.extra
    ? request.userInfo.extra['authentication.kubernetes.io/node-name'][0] : ''
{{- end -}}

{{/* Likewise the pod. */}}
{{- define "netprecursor.ownPod" -}}
- name: pod
  expression: >-
    has(request.userInfo.extra) && 'authentication.kubernetes.io/pod-name' in request.userInfo.extra
    ? request.userInfo.extra['authentication.kubernetes.io/pod-name'][0] : ''
{{- end -}}

{{- define "netprecursor.boundToken" -}}
- expression: variables.node != ''
  message: >-
    got a token that is bound to no node, expected one of an agent's pod: agents use the token that the kubelet mounts
{{- end -}}

{{/* Binding of the policy; takes (dict "root" $ "name" …). */}}
{{- define "netprecursor.binding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "netprecursor.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name | quote }}
  validationActions: [Deny]
{{- end -}}
