#!/bin/sh
# Writes the rules of prometheus/rules.yaml as a PrometheusRule, for the Prometheus operator:
#   deploy/observability/prometheus-rule.sh | kubectl -n valuecanvas apply -f -
set -eu
cat <<'HEAD'
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: valuecanvas
  labels: {app.kubernetes.io/name: valuecanvas}
spec:
HEAD
sed 's/^/  /' "$(dirname "$0")/prometheus/rules.yaml"
