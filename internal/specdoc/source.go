package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is what Go's own types do not carry at run time: comments, and the texts of regular expressions.
type source struct {
	// structs are the comments of struct types by their name, fields those of their fields by STRUCT.FIELD.
	structs, fields map[string]string
	// rules are the comments of the rules, by area and in the order of the source.
	areas []area
	// patterns are regular expressions by the name of their variable.
	patterns map[string]string
}

// area is one file of rules.
type area struct {
	title string
	rules []string
}

// readSource parses the packages in these folders of the project, which hold what is documented.
func readSource(project fs.FS, folders ...string) (*source, error) {
	s := &source{structs: map[string]string{}, fields: map[string]string{}, patterns: map[string]string{}}
	for _, folder := range folders {
		names, err := fs.Glob(project, folder+"/*.go") // sorted
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s holds no Go files here: run it in the project's folder", folder)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if err := s.readFile(project, name); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func (s *source) readFile(project fs.FS, name string) error {
	text, err := fs.ReadFile(project, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	found := area{title: areaTitle(name)}
	for _, declared := range file.Decls {
		switch d := declared.(type) {
		case *ast.GenDecl:
			if err := s.readDeclaration(d); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		case *ast.FuncDecl:
			if rule, ok := strings.CutPrefix(d.Doc.Text(), "Rule: "); ok {
				found.rules = append(found.rules, oneLine(rule))
			}
		}
	}
	if len(found.rules) > 0 {
		s.areas = append(s.areas, found)
	}
	return nil
}

// acronyms are names of areas that are written in capitals.
var acronyms = []string{"cni", "pxe"}

// areaTitle makes "Network" of validate_network.go and "CNI" of validate_cni.go; validate.go itself has the rules about
// every string.
func areaTitle(name string) string {
	_, word, found := strings.Cut(strings.TrimSuffix(path.Base(name), ".go"), "_")
	if !found {
		return "Every string"
	}
	if slices.Contains(acronyms, word) {
		return strings.ToUpper(word)
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

func (s *source) readDeclaration(d *ast.GenDecl) error {
	for _, part := range d.Specs {
		switch p := part.(type) {
		case *ast.TypeSpec:
			structure, ok := p.Type.(*ast.StructType)
			if !ok {
				continue
			}
			doc := p.Doc
			if doc == nil {
				doc = d.Doc
			}
			s.structs[p.Name.Name] = oneLine(doc.Text())
			for _, f := range structure.Fields.List {
				for _, name := range f.Names {
					s.fields[p.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
				}
			}
		case *ast.ValueSpec:
			if err := s.readPattern(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPattern keeps the text of name = regexp.MustCompile(`text`).
func (s *source) readPattern(p *ast.ValueSpec) error {
	for i, value := range p.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			continue
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || called.Sel.Name != "MustCompile" {
			continue
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			return err
		}
		s.patterns[p.Names[i].Name] = text
	}
	return nil
}

func oneLine(comment string) string { return strings.Join(strings.Fields(comment), " ") }
