foreach(doc api kube node node-label node-name presence record settings token)
	hearth_test(test-${doc} SOURCES test-${doc}.c LINK hearth_wire)
endforeach()
