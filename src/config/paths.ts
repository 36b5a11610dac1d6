/** Where a host's configuration, its list of hosts and its certificates lie. */
export const CONFIG_FILE_DEFAULT = '/etc/understudy/config.yaml';
export const HOSTS_FILE_DEFAULT = '/etc/understudy/hosts.yaml';
export const PKI_DIR_DEFAULT = '/etc/understudy/pki';
