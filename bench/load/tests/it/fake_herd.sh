#!/bin/sh
# Stands in for `herd` where only the comparison around it is tested: it answers as echo does, or floods as the
# skeleton does, and with its traffic log on it owns up to having dropped lines. HERD_LOAD is the tester.
if [ "$1" = --version ]; then
    echo "herd 0.0.0-fake"
    exit
fi
[ "$1 $2 $3 $5" = "node Solo --config --log-dir" ] || exit 2
config=$4
logs=$6
listen=$(sed -n 's/^listen = "\(.*\)"$/\1/p' "$config" | sed -n 1p)
neighbour=$(sed -n 's/^listen = "\(.*\)"$/\1/p' "$config" | sed -n 2p)
if grep -q '^traffic = true$' "$config"; then
    echo "3 traffic lines dropped" >"$logs/herd.log"
fi
if [ -n "$neighbour" ]; then
    exec "$HERD_LOAD" skeleton "--listen=$listen" "--neighbour=$neighbour"
fi
exec "$HERD_LOAD" echo "--listen=$listen" --line-length 86
