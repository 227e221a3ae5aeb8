// The dashboards, alerts and recording rules as a mixin for jsonnet. Install the whole repository, since it imports
// grafana/, and import docker-storage-exporter/prometheus/mixin.libsonnet.
// For another job, other thresholds or further labels: mixin { _rules:: import 'my-rules.json' }, a file that
// `docker-storage-exporter rules --format json` has written. YAML is read with std.parseYaml(importstr 'my-rules.yml'),
// from jsonnet 0.19 on.
{
  _rules:: import 'rules.json',

  local groups = self._rules.groups,
  local having(kind) = [
    group { rules: own }
    for group in groups
    for own in [[rule for rule in group.rules if std.objectHas(rule, kind)]]
    if std.length(own) > 0
  ],

  grafanaDashboards+:: {
    'docker-storage.json': import '../grafana/docker-storage.json',
    'docker-storage-fleet.json': import '../grafana/docker-storage-fleet.json',
  },
  prometheusAlerts+:: { groups+: having('alert') },
  prometheusRules+:: { groups+: having('record') },
}
