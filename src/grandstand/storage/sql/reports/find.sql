SELECT as_of, seconds, outcome FROM reports WHERE digest = $1
