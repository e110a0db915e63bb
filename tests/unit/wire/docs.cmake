foreach(doc api kube node presence record settings token)
	hearth_test(test-${doc} SOURCES test-${doc}.c LINK hearth_wire)
endforeach()
