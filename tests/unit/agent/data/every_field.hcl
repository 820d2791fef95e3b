# Every key of the configuration, with a value that is not its default.
node_name = "every-node"
node_id = "11111111-2222-3333-4444-555555555555"
node_meta {
  every-node_meta = "value"
}
datacenter = "dc-every"
primary_datacenter = "dc-first"
data_dir = "every-data"
domain = "every."
alt_domain = "alt."
protocol = 3
pid_file = "every-pid_file"
leave_on_terminate = true
skip_leave_on_interrupt = false
log_level = "WARN"
log_json = true
log_file = "logs/"
log_rotate_bytes = 1004
log_rotate_duration = "5s"
log_rotate_max_files = 1006
enable_syslog = true
syslog_facility = "LOCAL1"
bind_addr = "127.0.0.2"
client_addr = "127.0.0.3 127.0.0.4"
advertise_addr = "10.0.0.1"
advertise_addr_ipv4 = "10.0.0.2"
advertise_addr_ipv6 = "fd00::1"
advertise_addr_wan = "10.0.0.3"
advertise_addr_wan_ipv4 = "10.0.0.4"
advertise_addr_wan_ipv6 = "fd00::2"
tagged_addresses {
  every-tagged_addresses = "value"
}
translate_wan_addrs = true
addresses {
  dns = "127.0.0.5"
  http = "127.0.0.6 unix:///run/x.sock"
  https = "127.0.0.7"
  grpc = "127.0.0.8"
}
ports {
  dns = 9101
  http = 9102
  https = 9103
  grpc = 9104
  server = 9105
  serf_lan = 9106
  serf_wan = 9107
  sidecar_min_port = 9108
  sidecar_max_port = 9109
  expose_min_port = 9110
  expose_max_port = 9111
  proxy_min_port = 9112
  proxy_max_port = 9113
}
unix_sockets {
  user = "every-user"
  group = "every-group"
  mode = "every-mode"
}
serf_lan = "127.0.0.9"
serf_wan = "127.0.0.10"
serf_lan_allowed_cidrs = ["10.0.0.0/8"]
serf_wan_allowed_cidrs = ["10.0.0.0/9"]
recursors = ["8.8.4.4"]
start_join = ["every-start_join-1", "every-start_join-2"]
start_join_wan = ["every-start_join_wan-1", "every-start_join_wan-2"]
retry_join = ["every-retry_join-1", "every-retry_join-2"]
retry_join_wan = ["every-retry_join_wan-1", "every-retry_join_wan-2"]
retry_interval = "33s"
retry_interval_wan = "34s"
retry_max = 1035
retry_max_wan = 1036
rejoin_after_leave = true
reconnect_timeout = "38s"
reconnect_timeout_wan = "39s"
primary_gateways = ["every-primary_gateways-1", "every-primary_gateways-2"]
primary_gateways_interval = "41s"
gossip_lan {
  gossip_interval = "43s"
  gossip_nodes = 1044
  probe_interval = "45s"
  probe_timeout = "46s"
  suspicion_mult = 1047
  retransmit_mult = 1048
}
gossip_wan {
  gossip_interval = "50s"
  gossip_nodes = 1051
  probe_interval = "52s"
  probe_timeout = "53s"
  suspicion_mult = 1054
  retransmit_mult = 1055
}
encrypt = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
encrypt_verify_incoming = false
encrypt_verify_outgoing = false
server = true
bootstrap = false
bootstrap_expect = 3
performance {
  raft_multiplier = 4
  leave_drain_time = "59s"
  rpc_hold_timeout = "60s"
}
raft_protocol = 3
raft_snapshot_threshold = 1061
raft_snapshot_interval = "62s"
raft_trailing_logs = 1063
autopilot {
  cleanup_dead_servers = false
  last_contact_threshold = "66s"
  max_trailing_logs = 1067
  min_quorum = 1068
  server_stabilization_time = "69s"
  redundancy_zone_tag = "every-redundancy_zone_tag"
  upgrade_version_tag = "every-upgrade_version_tag"
  disable_upgrade_migration = true
}
session_ttl_min = "73s"
rpc {
  enable_streaming = false
}
use_streaming_backend = false
read_replica = true
ca_file = "every-ca_file"
ca_path = "every-ca_path"
cert_file = "every-cert_file"
key_file = "every-key_file"
server_name = "every-server_name"
tls_cipher_suites = "every-tls_cipher_suites"
verify_incoming = true
verify_incoming_rpc = true
verify_incoming_https = true
verify_outgoing = true
verify_server_hostname = true
tls_min_version = "tls13"
tls_prefer_server_cipher_suites = true
enable_agent_tls_for_checks = true
auto_encrypt {
  allow_tls = true
  tls = true
  dns_san = ["every-dns_san-1", "every-dns_san-2"]
  ip_san = ["every-ip_san-1", "every-ip_san-2"]
}
acl {
  enabled = true
  default_policy = "every-default_policy"
  down_policy = "every-down_policy"
  token_ttl = "100s"
  policy_ttl = "101s"
  role_ttl = "102s"
  enable_key_list_policy = true
  enable_token_replication = true
  enable_token_persistence = true
  msp_disable_bootstrap = true
  tokens {
    master = "every-master"
    default = "every-default"
    agent = "every-agent"
    agent_master = "every-agent_master"
    replication = "every-replication"
    managed_service_provider {
      every = "managed_service_provider"
    }
  }
}
limits {
  http_max_conns_per_client = 99
  https_handshake_timeout = "115s"
  rpc_rate = 116.5
  rpc_max_burst = 1117
  rpc_max_conns_per_client = 1118
  rpc_handshake_timeout = "119s"
  kv_max_value_size = 1120
  txn_max_req_len = 1121
}
http_config {
  block_endpoints = ["every-block_endpoints-1", "every-block_endpoints-2"]
  response_headers {
    every-response_headers = "value"
  }
  allow_write_http_from = ["10.0.0.0/10"]
  use_cache = false
  max_header_bytes = 1126
}
dns_config {
  allow_stale = false
  max_stale = "129s"
  node_ttl = "130s"
  service_ttl {
    "*" = "7s"
    web = "8s"
  }
  enable_truncate = true
  only_passing = true
  disable_compression = true
  udp_answer_limit = 1134
  a_record_limit = 1135
  recursor_timeout = "136s"
  enable_additional_node_meta_txt = false
  use_cache = true
  cache_max_age = "139s"
  soa {
    refresh = 1141
    retry = 1142
    expire = 1143
    min_ttl = 1144
  }
  prefer_namespace = true
}
telemetry {
  metrics_prefix = "every-metrics_prefix"
  filter_default = false
  prefix_filter = ["+every.good", "-every.bad"]
  disable_hostname = true
  prometheus_retention_time = "150s"
  statsd_address = "every-statsd_address"
  statsite_address = "every-statsite_address"
  dogstatsd_addr = "every-dogstatsd_addr"
  dogstatsd_tags = ["every-dogstatsd_tags-1", "every-dogstatsd_tags-2"]
  disable_compat_1.9 = true
  circonus_api_app = "every-circonus_api_app"
  circonus_api_token = "every-circonus_api_token"
  circonus_api_url = "every-circonus_api_url"
  circonus_broker_id = "every-circonus_broker_id"
  circonus_broker_select_tag = "every-circonus_broker_select_tag"
  circonus_check_display_name = "every-circonus_check_display_name"
  circonus_check_force_metric_activation = "every-circonus_check_force_metric_activation"
  circonus_check_id = "every-circonus_check_id"
  circonus_check_instance_id = "every-circonus_check_instance_id"
  circonus_check_search_tag = "every-circonus_check_search_tag"
  circonus_check_tags = "every-circonus_check_tags"
  circonus_submission_interval = "every-circonus_submission_interval"
  circonus_submission_url = "every-circonus_submission_url"
}
ui_config {
  enabled = true
  dir = ""
  content_path = "/every/"
  metrics_provider = "every-metrics_provider"
  metrics_provider_files = ["every-metrics_provider_files-1", "every-metrics_provider_files-2"]
  metrics_provider_options_json = "every-metrics_provider_options_json"
  metrics_proxy {
    every = "metrics_proxy"
  }
  dashboard_url_templates {
    every-dashboard_url_templates = "value"
  }
}
cache {
  entry_fetch_rate = 177.5
  entry_fetch_max_burst = 1178
}
check_update_interval = "179s"
check_output_max_size = 1180
discard_check_output = true
service {
  id = "every-id"
  name = "every-name"
  address = "every-address"
  socket_path = "every-socket_path"
  token = "every-token"
  kind = "every-kind"
  tags = ["every-tags-1", "every-tags-2"]
  port = 1190
  meta {
    every-meta = "value"
  }
  tagged_addresses {
    every = "tagged_addresses"
  }
  weights {
    passing = 2
    warning = 1194
  }
  enable_tag_override = true
  check {
    id = "every-id"
    name = "every-name"
    notes = "every-notes"
    token = "every-token"
    status = "every-status"
    http = "every-http"
    method = "every-method"
    body = "every-body"
    tcp = "every-tcp"
    grpc = "every-grpc"
    shell = "every-shell"
    alias_node = "every-alias_node"
    alias_service = "every-alias_service"
    h2ping = "every-h2ping"
    tls_server_name = "every-tls_server_name"
    docker_container_id = "every-docker_container_id"
    args = ["every-args-1", "every-args-2"]
    service_id = "every-service_id"
    header {
      X-Every = ["a", "b"]
    }
    grpc_use_tls = true
    tls_skip_verify = true
    interval = "218s"
    timeout = "219s"
    ttl = "220s"
    deregister_critical_service_after = "221s"
    output_max_size = 1222
    success_before_passing = 1223
    failures_before_critical = 1224
  }
  checks = [{
    id = "every-id"
    name = "every-name"
    notes = "every-notes"
    token = "every-token"
    status = "every-status"
    http = "every-http"
    method = "every-method"
    body = "every-body"
    tcp = "every-tcp"
    grpc = "every-grpc"
    shell = "every-shell"
    alias_node = "every-alias_node"
    alias_service = "every-alias_service"
    h2ping = "every-h2ping"
    tls_server_name = "every-tls_server_name"
    docker_container_id = "every-docker_container_id"
    args = ["every-args-1", "every-args-2"]
    service_id = "every-service_id"
    header {
      X-Every = ["a", "b"]
    }
    grpc_use_tls = true
    tls_skip_verify = true
    interval = "247s"
    timeout = "248s"
    ttl = "249s"
    deregister_critical_service_after = "250s"
    output_max_size = 1251
    success_before_passing = 1252
    failures_before_critical = 1253
  }]
  connect {
    every = "connect"
  }
  proxy {
    every = "proxy"
  }
}
services = [{
  id = "every-id"
  name = "every-name"
  address = "every-address"
  socket_path = "every-socket_path"
  token = "every-token"
  kind = "every-kind"
  tags = ["every-tags-1", "every-tags-2"]
  port = 1264
  meta {
    every-meta = "value"
  }
  tagged_addresses {
    every = "tagged_addresses"
  }
  weights {
    passing = 1268
    warning = 1269
  }
  enable_tag_override = true
  check {
    id = "every-id"
    name = "every-name"
    notes = "every-notes"
    token = "every-token"
    status = "every-status"
    http = "every-http"
    method = "every-method"
    body = "every-body"
    tcp = "every-tcp"
    grpc = "every-grpc"
    shell = "every-shell"
    alias_node = "every-alias_node"
    alias_service = "every-alias_service"
    h2ping = "every-h2ping"
    tls_server_name = "every-tls_server_name"
    docker_container_id = "every-docker_container_id"
    args = ["every-args-1", "every-args-2"]
    service_id = "every-service_id"
    header {
      X-Every = ["a", "b"]
    }
    grpc_use_tls = true
    tls_skip_verify = true
    interval = "293s"
    timeout = "294s"
    ttl = "295s"
    deregister_critical_service_after = "296s"
    output_max_size = 1297
    success_before_passing = 1298
    failures_before_critical = 1299
  }
  checks = [{
    id = "every-id"
    name = "every-name"
    notes = "every-notes"
    token = "every-token"
    status = "every-status"
    http = "every-http"
    method = "every-method"
    body = "every-body"
    tcp = "every-tcp"
    grpc = "every-grpc"
    shell = "every-shell"
    alias_node = "every-alias_node"
    alias_service = "every-alias_service"
    h2ping = "every-h2ping"
    tls_server_name = "every-tls_server_name"
    docker_container_id = "every-docker_container_id"
    args = ["every-args-1", "every-args-2"]
    service_id = "every-service_id"
    header {
      X-Every = ["a", "b"]
    }
    grpc_use_tls = true
    tls_skip_verify = true
    interval = "322s"
    timeout = "323s"
    ttl = "324s"
    deregister_critical_service_after = "325s"
    output_max_size = 1326
    success_before_passing = 1327
    failures_before_critical = 1328
  }]
  connect {
    every = "connect"
  }
  proxy {
    every = "proxy"
  }
}]
check {
  id = "every-id"
  name = "every-name"
  notes = "every-notes"
  token = "every-token"
  status = "every-status"
  http = "every-http"
  method = "every-method"
  body = "every-body"
  tcp = "every-tcp"
  grpc = "every-grpc"
  shell = "every-shell"
  alias_node = "every-alias_node"
  alias_service = "every-alias_service"
  h2ping = "every-h2ping"
  tls_server_name = "every-tls_server_name"
  docker_container_id = "every-docker_container_id"
  args = ["every-args-1", "every-args-2"]
  service_id = "every-service_id"
  header {
    X-Every = ["a", "b"]
  }
  grpc_use_tls = true
  tls_skip_verify = true
  interval = "353s"
  timeout = "354s"
  ttl = "355s"
  deregister_critical_service_after = "356s"
  output_max_size = 1357
  success_before_passing = 1358
  failures_before_critical = 1359
}
checks = [{
  id = "every-id"
  name = "every-name"
  notes = "every-notes"
  token = "every-token"
  status = "every-status"
  http = "every-http"
  method = "every-method"
  body = "every-body"
  tcp = "every-tcp"
  grpc = "every-grpc"
  shell = "every-shell"
  alias_node = "every-alias_node"
  alias_service = "every-alias_service"
  h2ping = "every-h2ping"
  tls_server_name = "every-tls_server_name"
  docker_container_id = "every-docker_container_id"
  args = ["every-args-1", "every-args-2"]
  service_id = "every-service_id"
  header {
    X-Every = ["a", "b"]
  }
  grpc_use_tls = true
  tls_skip_verify = true
  interval = "382s"
  timeout = "383s"
  ttl = "384s"
  deregister_critical_service_after = "385s"
  output_max_size = 1386
  success_before_passing = 1387
  failures_before_critical = 1388
}]
watches = [{
  every = "watches"
}]
discovery_max_stale = "390s"
disable_coordinates = true
disable_remote_exec = false
disable_host_node_id = false
disable_keyring_file = true
disable_update_check = true
disable_anonymous_signature = true
disable_http_unprintable_char_filter = true
enable_debug = true
enable_central_service_config = false
enable_script_checks = true
enable_local_script_checks = true
default_query_time = "402s"
max_query_time = "403s"
connect {
  every = "connect"
}
config_entries {
  bootstrap = [{
    every = "bootstrap"
  }]
}
auto_config {
  every = "auto_config"
}
acl_datacenter = "dc-first"
acl_default_policy = "every-acl_default_policy"
acl_down_policy = "every-acl_down_policy"
acl_token = "every-acl_token"
acl_master_token = "every-acl_master_token"
acl_agent_token = "every-acl_agent_token"
acl_agent_master_token = "every-acl_agent_master_token"
acl_replication_token = "every-acl_replication_token"
acl_ttl = "415s"
acl_enable_key_list_policy = true
enable_acl_replication = true
acl_enforce_version_8 {
  every = "acl_enforce_version_8"
}
segment = ""
license_path = "every-license_path"
segments = [{
  every = "segments"
}]
audit {
  every = "audit"
}
snapshot_agent {
  every = "snapshot_agent"
}
ui = true
ui_dir = ""
ui_content_path = "/old/"
