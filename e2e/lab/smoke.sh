#!/usr/bin/env bash
# Shows that the lab is a cluster: pods from a real Deployment, traffic split by a real gateway, and
# metrics of both in a real Prometheus. It does not test Tidegate.
# Run: lab run -- e2e/lab/smoke.sh
set -euo pipefail
: "${TIDEGATE_LAB_DIR:?run this inside the lab: lab run -- e2e/lab/smoke.sh}"

pass() { echo "PASS $*"; }
fail() { echo "FAIL $*" >&2; exit 1; }
# within SECONDS WHAT COMMAND...: tries until the command succeeds.
within() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "$what"
    sleep 0.2
  done
  pass "$what"
}
query() { curl -sfG --data-urlencode "query=$1" "$TIDEGATE_LAB_PROMETHEUS/api/v1/query"; }
has_series() { query "$1" | grep -q '"value"'; }
reached() { [[ $(curl -s -o /dev/null -w '%{http_code}' -H 'Host: demo.example' "$TIDEGATE_LAB_GATEWAY/") == 200 ]]; }

workload() { # NAME VERSION
  cat <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: 2
  selector: {matchLabels: {app: $1}}
  template:
    metadata:
      labels: {app: $1, tidegate.io/revision: $2}
      annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080"}
    spec:
      containers:
      - name: app
        image: lab/app
        command: [lab, app]
        env: [{name: VERSION, value: $2}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {selector: {app: $1}, ports: [{port: 80, targetPort: http}]}
---
YAML
}

kubectl create namespace smoke >/dev/null
kubectl config set-context --current --namespace=smoke >/dev/null
begin=$(date +%s%N)
{ workload demo-stable v1; workload demo-canary v2; } | kubectl apply -f - >/dev/null
kubectl wait deployment --all --for=condition=Available --timeout=30s >/dev/null
pass "two Deployments are available after $((($(date +%s%N) - begin) / 1000000)) ms"

kubectl apply -f - >/dev/null <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: demo}
spec:
  parentRefs: [{name: edge, namespace: projectcontour}]
  hostnames: [demo.example]
  rules:
  - backendRefs: [{name: demo-stable, port: 80, weight: 90}, {name: demo-canary, port: 80, weight: 10}]
YAML
within 10 "the route is answered through the gateway" reached

out=$TIDEGATE_LAB_DIR/smoke-load.json
lab load --url "$TIDEGATE_LAB_GATEWAY/" --host demo.example --rate 200 --duration 8s --out "$out" &
load=$!
sleep 2
kubectl rollout restart deployment demo-stable >/dev/null # a rollout in the middle of it
kubectl rollout status deployment demo-stable --timeout=30s >/dev/null
wait $load
python3 - "$out" <<'PY' || fail "the split is 90/10 and no request failed"
import json, sys
counts = json.load(open(sys.argv[1]))["counts"]
total = sum(count for codes in counts.values() for count in codes.values())
canary = counts["v2"]["200"] / total
assert set(counts) == {"v1", "v2"} and all(set(codes) == {"200"} for codes in counts.values()), counts
assert 0.05 < canary < 0.15, canary
PY
pass "the split is 90/10 and no request failed, with a rollout in the middle"

for backend in stable canary; do
  within 15 "Prometheus has Envoy's counters of demo-$backend" \
    has_series "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"smoke_demo-${backend}_80\",envoy_response_code_class=\"2\"} > 0"
done
for version in v1 v2; do
  within 15 "Prometheus has the pods' own counters of $version" \
    has_series "sum(http_requests_total{namespace=\"smoke\",revision=\"$version\",code=\"200\"}) > 0"
done

lab part stop prometheus
! query up >/dev/null || fail "Prometheus can be taken away"
lab part start prometheus
within 10 "Prometheus can be taken away and given back" query up
grep -q '"resource":"httproutes"' "$TIDEGATE_LAB_AUDIT_LOG" || fail "the audit log has the writes"
pass "the audit log has the writes"
begin=$(date +%s%N)
kubectl delete namespace smoke --timeout=60s >/dev/null
pass "the namespace is gone after $((($(date +%s%N) - begin) / 1000000)) ms"
