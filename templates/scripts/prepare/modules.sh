# shellcheck shell=bash
step "loading kernel modules" "the kernel of this image lacks a module: boot one that has it, name its package in packages.extra, or take it out of system.modules"

done_already() {
  local module wanted=("${MODULES[@]/%nf?conntrack/$(conntrack_module)}")
  if in_container; then say "$LABEL: this is a container: the modules are its host's" && return; fi
  if [[ $IPVS == true ]]; then wanted+=(ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh "$(conntrack_module)"); fi
  for module in "${wanted[@]}"; do
    module_loaded "$module" || { echo "$module is not loaded" && return 1; }
  done
}

run_step() { load_modules; }
