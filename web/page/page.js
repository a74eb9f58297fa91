// The form works without script. What a script adds begins here.
