# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_canaryd_global_optspecs
    string join \n socket= ascii no-color watch= state= var= var-file= dry-run max-moving= docker-host= reach= log= h/help V/version
end

function __fish_canaryd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_canaryd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_canaryd_using_subcommand
    set -l cmd (__fish_canaryd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c canaryd -n "__fish_canaryd_needs_command" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_needs_command" -l watch -d 'Runs the daemon on the manifests (*.yaml, *.yml) under this directory; repeatable' -r -F
complete -c canaryd -n "__fish_canaryd_needs_command" -l state -d 'Where it remembers [default: /var/lib/canaryd, or $XDG_STATE_HOME/canaryd]' -r -F
complete -c canaryd -n "__fish_canaryd_needs_command" -l var -d 'A variable for ${K} in manifests; repeatable' -r
complete -c canaryd -n "__fish_canaryd_needs_command" -l var-file -d 'A file of K=V lines; repeatable' -r -F
complete -c canaryd -n "__fish_canaryd_needs_command" -l max-moving -d 'So many rollouts move at a time' -r
complete -c canaryd -n "__fish_canaryd_needs_command" -l docker-host -d 'Docker\'s address [default: $DOCKER_HOST, else the current context]' -r
complete -c canaryd -n "__fish_canaryd_needs_command" -l reach -d 'How containers are reached (health): by address, through the gateway\'s ops port, or whichever works' -r -f -a "auto\t'By their addresses if this process has a route there, else through the gateway'
direct\t'By their addresses'
relay\t'Through the gateway'"
complete -c canaryd -n "__fish_canaryd_needs_command" -l log -d 'How log lines look [default: text on a terminal, else json]' -r -f -a "text\t'For people'
json\t'One JSON object a line'"
complete -c canaryd -n "__fish_canaryd_needs_command" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_needs_command" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_needs_command" -l dry-run -d 'Observe and tell the first actions, but change nothing in Docker, NGINX or memories'
complete -c canaryd -n "__fish_canaryd_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_needs_command" -s V -l version -d 'Print version'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "validate" -d 'Checks manifests without a daemon: every problem with file, line and what to do'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "schema" -d 'Prints the JSON Schema of a manifest, for editors'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "plan" -d 'Shows what would be done about a manifest now, and why; changes nothing'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "set" -d 'Edits the version line of a manifest in place; comments stay'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "status" -d 'Shows all rollouts, or one'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "follow" -d 'Shows one rollout live until it ends; the exit code is its outcome'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "wait" -d 'Waits in silence until a rollout has ended; the exit code is its outcome'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "events" -d 'Shows what has happened'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "logs" -d 'Shows what the containers wrote, or the gateway'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "exec" -d 'Runs a command inside a running container of a rollout; the exit code is the command\'s'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "run" -d 'Runs a command in a container of its own, made of a rollout\'s version: a migration, say; the exit code is the command\'s'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "header" -d 'Prints the request header that forces a lane: a secret, shown by nothing else'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "explain" -d 'Explains the checks: the numbers, how sure they are, and what is missing'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "doctor" -d 'Finds out what is wrong on this host, what that means, and how to mend it; changes nothing'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "journal" -d 'Checks the journal, or makes it anew when it is lost or damaged'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "advance" -d 'Goes to the next stage now; a failing check still takes the version off'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "promote" -d 'Gives all users the version on trial and finishes; health and failing checks still count'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "pause" -d 'Stops progress until resume; checks go on'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "resume" -d 'Goes on after a pause; gives a weight set by hand back'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "abort" -d 'Takes the version on trial off, before it is in production'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "undo" -d 'Goes back to the previous version, after a promotion'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "rollback" -d 'The panic button: whichever of abort and undo is right; says what it did'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "retry" -d 'Lets a version that was taken off be tried again'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "restart" -d 'Replaces the containers in production by new ones of the same version, without a gap'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "stop" -d 'Takes a rollout down for maintenance: users get a page with 503, then its containers stop, and are kept'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "start" -d 'Brings back what was stopped: users get it when it is healthy, and the page until then'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "delete" -d 'Stops everything of a rollout and forgets it'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "eject" -d 'Writes what is in production as a Compose file, and how to move there; changes nothing'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "traffic" -d 'Sets the share of the version on trial by hand; progress stops, safety stays'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "demo" -d 'Shows the whole thing on real traffic in three minutes'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "completions" -d 'Prints completions for a shell'
complete -c canaryd -n "__fish_canaryd_needs_command" -f -a "version" -d 'Prints the version'
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -l var -d 'A variable for ${K} in manifests; repeatable' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -l var-file -d 'A file of K=V lines; repeatable' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand schema" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand schema" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand schema" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand schema" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand plan" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand plan" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand plan" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand plan" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l file -d 'The manifest, if the daemon should not be asked where it is' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l watch -d 'Look for the manifest here instead of where the daemon does; repeatable' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l timeout -d 'Leave after this long with exit code 3: 90s, 15m, 2h30m' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -s o -l output -d 'How the answer is printed; json with --wait: the last report' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l wait -d 'Wait until it has ended; the exit code is its outcome'
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l through-pauses -d 'Wait on while it waits for a person, instead of leaving with exit code 3'
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -l watch -d 'Show it again whenever it changes'
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -l timeout -d 'Leave after this long with exit code 3: 90s, 15m, 2h30m' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -l through-pauses -d 'Wait on while it waits for a person, instead of leaving with exit code 3'
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand follow" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l version -d 'Wait for this version, even if its rollout has not begun yet' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l timeout -d 'Leave after this long with exit code 3: 90s, 15m, 2h30m' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -s o -l output -d 'How the end is printed; json: the last report' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l through-pauses -d 'Wait on while it waits for a person, instead of leaving with exit code 3'
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l after -d 'Only those after this number' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l limit -d 'At most so many, 1 to 1000: the newest, or the oldest of those after SEQ' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -s o -l output -d 'How it is printed; json: one object a line' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l follow -d 'Keep showing what comes'
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l lane -d 'Only this lane' -r -f -a "canary\t'What is on trial'
production\t'What was last promoted'"
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l tail -d 'Only the last lines of each container' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l follow -d 'Keep showing what comes'
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l gateway -d 'The gateway\'s log instead of the containers\''
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l lane -d 'The lane whose version is meant' -r -f -a "canary\t'What is on trial'
production\t'What was last promoted'"
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l component -d 'The app, or one kind of worker' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l replica -d 'The Nth running container of the lane' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -l lane -d 'The lane whose version is meant' -r -f -a "canary\t'What is on trial'
production\t'What was last promoted'"
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -l component -d 'The app, or one kind of worker' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -l lane -d 'The lane that the header chooses' -r -f -a "canary\t'What is on trial'
production\t'What was last promoted'"
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand header" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand explain" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand explain" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand explain" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand explain" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l state -d 'State directory of the daemon [default: as the daemon\'s]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l watch -d 'Look at this directory of manifests, besides those that a running daemon names; repeatable' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l docker-host -d 'Docker\'s address [default: $DOCKER_HOST, else the current context]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -f -a "check" -d 'Reads every page and every memory of the journal, beside a daemon or without one; changes nothing'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and not __fish_seen_subcommand_from check rebuild" -f -a "rebuild" -d 'Makes a journal anew when it is lost or damaged, from containers and the live configurations; asks first'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -l state -d 'State directory [default: the one that the daemon on the socket names, else the usual one]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l state -d 'State directory of the daemon that is not running [default: as the daemon\'s]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l docker-host -d 'Docker\'s address [default: $DOCKER_HOST, else the current context]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l yes -d 'Do not ask'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l dry-run -d 'Show what was found and what would be assumed, and change nothing; beside a daemon in safe mode, too'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand journal; and __fish_seen_subcommand_from rebuild" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand advance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -l reason -d 'Why it should not wait for enough data' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand promote" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand abort" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l state -d 'State directory of the daemon that is not running' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l offline -d 'Without a daemon: swaps the prepared all-production configuration in and signals NGINX'
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l page -d 'A page of your own for users: HTML, or *.json or *.txt, at most 128 KiB; it is copied [default: a plain built-in one]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l retry-after -d 'How long clients are told to wait (Retry-After), 1s to 30d [default: 60s]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -l yes -d 'Do not ask'
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -s o -l output -d 'Where the Compose file is written; a file that is there is not touched [default: stdout]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -l port -d 'Host port of the app under Compose, on 127.0.0.1 [default: the gateway\'s, and 10000]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand eject" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -l comment -d 'Why: kept in the history' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -s o -l output -d 'How the answer is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand traffic" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l nginx-image -d 'Gateway image [default: nginx:stable, else canaryd-nginx:local]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l app-image -d 'Application image, with the tags v1 to v4 [default: canaryd-demo]' -r
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l report -d 'Where the figures are written' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l clean -d 'Remove what an earlier demo left, and stop'
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand completions" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand completions" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand completions" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand completions" -s h -l help -d 'Print help'
complete -c canaryd -n "__fish_canaryd_using_subcommand version" -s o -l output -d 'How it is printed' -r -f -a "table\t'For people'
wide\t'For people with room: revisions, replicas, the way back'
json\t'For machines'"
complete -c canaryd -n "__fish_canaryd_using_subcommand version" -l socket -d 'Socket of the daemon [default: $CANARYD_SOCKET, else the user\'s own, else /run/canaryd/canaryd.sock]' -r -F
complete -c canaryd -n "__fish_canaryd_using_subcommand version" -l ascii -d 'Only ASCII signs'
complete -c canaryd -n "__fish_canaryd_using_subcommand version" -l no-color -d 'No colour (so does NO_COLOR)'
complete -c canaryd -n "__fish_canaryd_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
