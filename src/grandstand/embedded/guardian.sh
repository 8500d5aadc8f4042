#!/bin/sh
# guardian.sh SIGNAL COMMAND...: runs one engine and ends it with SIGNAL when the supervisor says so or is gone.
# Standard input is the lifeline: a pipe whose other end only the supervisor holds. A line means "stop now"; the end
# of the pipe means that the supervisor died, and then the engine gets a moment more, for the children to finish.
# The exit code is the engine's.
stop=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
engine=$!
trap 'kill -s "$stop" "$engine" 2>/dev/null' INT TERM HUP
{
    trap - INT TERM HUP
    read -r _ <&3 || sleep 1
    kill -s "$stop" "$engine" 2>/dev/null
} &
watcher=$!
exec 3<&-
wait "$engine"
code=$?
# A signal that is trapped ends `wait` early.
while kill -0 "$engine" 2>/dev/null; do
    wait "$engine"
    code=$?
done
kill "$watcher" 2>/dev/null
exit "$code"
