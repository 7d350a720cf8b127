#!/bin/sh
# events.sh [CONTROL-SOCKET [PLACE-FILE]]: prints number, kind and user of each of sessiond's events,
# from the oldest kept on; one comes twice only if this is killed between printing and keeping it.
set -eu
socket=${1:-/run/sessiond/control.sock} place=${2:-events.place}
[ -s "$place" ] || echo 0 >"$place"
while :; do
    curl -sSfN --unix-socket "$socket" "http://sessiond/v1/events?after=$(cat "$place")" |
        while IFS= read -r line; do
            case $line in
            "id: "*) id=${line#id: } ;;
            "event: "*) kind=${line#event: } ;;
            "data: "*) user=${line#*'"user":"'}
                printf '%s %s %s\n' "$id" "$kind" "${user%%\"*}"
                echo "$id" >"$place.new"
                mv "$place.new" "$place" ;;
            esac
        done
    sleep 1
done
