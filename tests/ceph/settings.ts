/**
 * What the daemons of a throwaway Ceph are told: all on loopback, nobody asked for a key but by the
 * gateway, little memory, and everything that usually takes its time at once.
 *
 * @module
 */

/** Where things are, and how large. */
export interface Place {
  readonly directory: string;
  readonly monitorPort: number;
  /** Of each of the two disks, which are sparse files. */
  readonly diskBytes: number;
}

/** The content of ceph.conf. */
export function cephConf({ directory, monitorPort, diskBytes }: Place): string {
  return `[global]
fsid = ${crypto.randomUUID()}
mon_host = v1:127.0.0.1:${monitorPort}
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
keyring = ${directory}/keyring
run_dir = ${directory}
admin_socket =
pid_file =
log_file = ${directory}/$name.log
log_to_stderr = false
mon_data = ${directory}/mon
mgr_data = ${directory}/mgr
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.1

# Two disks of one machine hold everything twice; one of them may go.
osd_data = ${directory}/osd.$id
osd_objectstore = bluestore
osd_crush_chooseleaf_type = 0
# What a disk asks for at its start is refused if it asks before it knows the fsid.
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_pool_default_size = 2
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
rgw_rados_pool_pg_num_min = 8
bluestore_block_size = ${diskBytes}
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_memory_target = 939524096

# That a disk has gone is noticed in three seconds, and it is waited for.
osd_heartbeat_grace = 3
osd_heartbeat_interval = 1
osd_mon_heartbeat_interval = 1
mon_osd_min_down_reporters = 1
mon_osd_down_out_interval = 600

# What a gateway does hours later elsewhere, tests have to see.
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_gc_processor_max_time = 10
# For so long a gateway that was killed within a CompleteMultipartUpload holds its upload back.
rgw_mp_lock_max_time = 30
rgw_enable_usage_log = false
rgw_thread_pool_size = 128
`;
}
