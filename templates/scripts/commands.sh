# shellcheck shell=bash
# What both steps share that run the spec's commands.

# commands_done WHEN COMMAND...: a command is known by its place and its text.
commands_done() {
  local when=$1 number=0 command
  for command in "${@:2}"; do recorded "commands/$when-$((++number))" "$(sha256sum <<<"$command")" || return; done
}

run_commands() {
  local when=$1 number=0 command sum
  for command in "${@:2}"; do
    sum=$(sha256sum <<<"$command")
    recorded "commands/$when-$((++number))" "$sum" && continue
    echo "command $number of commands.$when" # not its text: it may hold a password
    # Every user may read a program's arguments, only root its environment; and what the command starts gets neither.
    command=$command bash -c 'export -n command; eval "$command"'
    sync
    commit "commands/$when-$number" "$sum"
  done
}
