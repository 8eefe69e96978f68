// etcd as kubeadm's default etcd image has it.
module muster/test/e2e/etcd

go 1.26

require go.etcd.io/etcd/server/v3 v3.6.5
