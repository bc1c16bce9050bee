#!/usr/bin/env python3
"""Answers `!time` and `!ping WORDS` in the channel where it was asked: docs/bots/echo.py 2428"""
import json
import subprocess
import sys
import time

port = sys.argv[1] if len(sys.argv) > 1 else "2428"
node = subprocess.Popen(["dist-chat", "attach", "--json", "-p", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        encoding="utf-8")

for object in map(json.loads, node.stdout):
    # Neither what was said before it came, nor what it says itself.
    if object["type"] != "line" or object["past"] or object["text"].startswith("pong"):
        continue
    word, _, rest = object["text"].partition(" ")
    answers = {"!time": time.strftime("%H:%M:%S %Z"), "!ping": "pong " + rest}
    if word in answers:
        say = {"v": 1, "type": "say", "text": answers[word], "channel": object["channel"]}
        node.stdin.write(json.dumps(say) + "\n")
        node.stdin.flush()

sys.exit(node.wait())
